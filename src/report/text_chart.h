// A line chart as text, for terminals.
#pragma once

#include <string>

#include "report/run_history.h"

namespace trainer {

// Both axes are linear. Returns "" for a series without points.
std::string text_chart(const Series& series);

}  // namespace trainer
