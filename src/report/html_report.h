// report.html: one self-contained page about a run, without scripts, for light and dark color schemes.
#pragma once

#include <string>

#include "report/run_history.h"

namespace trainer {

// Charts and tables from the history, then `tests` (html_tests.h); the text of net and solver in collapsed sections
// below.
std::string html_report(const RunHistory& history, const std::string& tests, const std::string& net_text,
                        const std::string& solver_text);

}  // namespace trainer
