// The patterns of a solver for parameters: param_rule, freeze and fresh.
#pragma once

#include <string>
#include <vector>

#include "config/positions.h"
#include "lowering/lower_net.h"

namespace trainer {

// Patterns of the command line, which become fields of the solver.
struct PatternFlags {
  std::vector<std::string> freeze, fresh;  // PATTERN
  std::vector<std::string> lr_mult;        // PATTERN=X
};
void add_patterns(const PatternFlags& flags, caffe::SolverParameter* solver, Positions* positions,
                  Diagnostics* diagnostics);

// The first names and the number of others, for messages.
std::string list_of(const std::vector<std::string>& names);

// Throws if a pattern matches nothing in the training net.
void check_patterns(const caffe::SolverParameter& solver, const Positions& positions, const LoweredNet& net);

}  // namespace trainer
