// The update rules of the solver types, as formulas on values. docs/training.md lists them.
//
// The shapes of w, g, h and h2 are equal: all parameters as one flat state, or one parameter as a matrix.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "ops/graph.h"
#include "trainer.pb.h"

namespace trainer {

// Numbers of a rule that depend on the iteration.
using RuleScalars = std::array<float, 3>;

struct RuleInput {
  const caffe::SolverParameter& solver;
  Value w, g, h, h2;  // parameters, gradients, history
  Value rate;         // the learning rate times lr_mult
  Value decay;        // weight_decay times decay_mult; empty if it is 0
  bool adapts;        // whether the ratio of norms applies: decay_mult is not 0
  Value momentum;
  std::array<Value, std::tuple_size_v<RuleScalars>> scalars;
};
struct RuleResult {
  Value step;  // w becomes w - step
  Value h, h2;
};

struct Rule {
  const char* type;
  int history;      // arrays
  bool owns_decay;  // otherwise the decay is part of g
  bool has_norms;   // of single parameters
  RuleResult (*make)(const RuleInput&);
  // Of a solver with the momentum of the iteration; nullptr if the rule has none.
  RuleScalars (*scalars_at)(const caffe::SolverParameter&, int iteration);
};
// nullptr for an unknown type.
const Rule* find_rule(const std::string& type);
const std::vector<std::string>& solver_types();
// The history blobs of a parameter for a solver type; 0 for an unknown type.
int history_blobs(const std::string& solver_type);

// The Euclidean norm over some axes, which keep extent 1.
Value norm(Value x, const std::vector<int>& axes);

}  // namespace trainer
