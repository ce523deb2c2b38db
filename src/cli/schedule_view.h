// The schedule of a solver as a picture, for `summary --solver`.
#pragma once

#include "cli/flags.h"

namespace trainer {

// Prints the schedule of --solver, and writes it as SVG to --output if that is given.
void show_schedule(const Arguments& arguments);

}  // namespace trainer
