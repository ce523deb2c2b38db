// The values of an iteration that follow the schedule of the solver: learning rate, momentum and weight decay.
#pragma once

#include <string>
#include <vector>

#include "train/epochs.h"
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

// The schedule of a training. If its solver counts in epochs and the training continues with other batches or devices,
// the schedule continues at the same part of its length.
class Schedule {
 public:
  // Of a solver whose fields in epochs are resolved.
  Schedule(const caffe::SolverParameter& solver, const EpochLength& epoch);
  // As scheduled_values.
  ScheduledValues values(int iteration, ScheduleState* state) const {
    return scheduled_values(solver_, iteration + shift_, state);
  }

 private:
  int shift_ = 0;  // the iterations that would have read as many records, less those that have
  caffe::SolverParameter solver_;
};

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
