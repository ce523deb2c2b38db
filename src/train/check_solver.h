// Checks the fields of a solver, without its nets.
#pragma once

#include "config/load.h"

namespace trainer {

// Adds each problem of the solver to `diagnostics`, at its field.
void check_solver(const SolverFile& file, Diagnostics* diagnostics);

}  // namespace trainer
