// The learning-rate policies (`lr_policy`) and the warm-up.
#pragma once

#include <optional>
#include <string>

#include "train/schedule.h"
#include "trainer.pb.h"

namespace trainer {

bool is_lr_policy(const std::string& name);

// The first problem of the policy's fields, if there is one.
std::optional<FieldProblem> check_learning_rate(const caffe::SolverParameter& solver);

// The rate of an iteration. Caffe's policies compute in float as Caffe does.
float learning_rate(const caffe::SolverParameter& solver, int iteration, ScheduleState* state);
// The momentum of an iteration with lr_policy "one_cycle" and min_momentum.
float one_cycle_momentum(const caffe::SolverParameter& solver, int iteration);

}  // namespace trainer
