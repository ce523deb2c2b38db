// The learning-rate policies (`lr_policy`) and the warm-up.
#pragma once

#include <string>

#include "trainer.pb.h"

namespace trainer {

// The state of a policy between iterations; snapshots keep it.
struct LearningRateState {
  int current_step = 0;  // multistep: the stepvalues reached
};

// The problem of the policy's fields, or ""; `field` receives the name of the faulty field.
std::string check_learning_rate(const caffe::SolverParameter& solver, std::string* field);
// Why a field of the schedule has no effect, or ""; `field` receives its name. Needs the resolved max_iter.
std::string doubt_learning_rate(const caffe::SolverParameter& solver, std::string* field);

// The rate of an iteration, by the formulas in the comments of lr_policy and warmup_iter (proto/trainer.proto). Caffe's
// policies compute in float as Caffe does. Call once for each iteration, in order: policies with a state advance it.
float learning_rate(const caffe::SolverParameter& solver, int iteration, LearningRateState* state);

}  // namespace trainer
