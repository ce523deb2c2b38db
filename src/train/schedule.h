// The values of an iteration that follow the schedule of the solver: learning rate, momentum and weight decay.
#pragma once

#include <string>
#include <vector>

#include "trainer.pb.h"

namespace trainer {

// The state of the schedule between iterations; snapshots keep it.
struct ScheduleState {
  int current_step = 0;  // multistep: the stepvalues reached
  caffe::PlateauState plateau;
};

struct ScheduledValues {
  float rate = 0, momentum = 0, weight_decay = 0;
};

// By the formulas in the comments of SolverParameter (proto/trainer.proto). Call once for each iteration, in order: a
// policy with a state advances it.
ScheduledValues scheduled_values(const caffe::SolverParameter& solver, int iteration, ScheduleState* state);

// Whether the value differs between iterations.
bool schedules_momentum(const caffe::SolverParameter& solver);
bool schedules_weight_decay(const caffe::SolverParameter& solver);

struct FieldProblem {
  std::string field, text;
};
// The mistakes in the fields of the schedule.
std::vector<FieldProblem> check_schedule(const caffe::SolverParameter& solver);
// The fields of the schedule that have no effect, or not the effect that one expects. Needs the iterations of fields in
// epochs.
std::vector<FieldProblem> doubt_schedule(const caffe::SolverParameter& solver);

}  // namespace trainer
