// report.html: one self-contained page on a run, readable in dark and light, without scripts.
#pragma once

#include <string>

#include "report/run_history.h"

namespace trainer {

// Charts and tables from the history; the net's and solver's text folded below.
std::string html_report(const RunHistory& history, const std::string& net_text, const std::string& solver_text);

}  // namespace trainer
