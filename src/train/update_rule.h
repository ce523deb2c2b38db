// The update of an iteration as one program over the flat parameters, gradients and history.
//
// The order is Caffe's, after the division by the loss scale (loss_scale.h): average over the devices that train
// together, clip by the global norm of the accumulated gradient, divide by iter_size, regularize, then apply the rule
// of the solver type (solver_rules.h) with rate * lr_mult. clip_adaptive and clip_value follow the division by
// iter_size. The average of the weights (weight_average.h) advances in the same pass.
//
// Rules without norms of single parameters are one map, or one for each part between frozen parameters: lr_mult and
// decay_mult are piecewise constant over the flat states (SegmentTable). In the padding between parameters gradient,
// weight and history are and stay zero. Other rules have maps for each parameter, as a matrix with a row for each unit.
#pragma once

#include <memory>
#include <vector>

#include "lowering/lower_net.h"
#include "runtime/program.h"
#include "session/device_session.h"
#include "train/schedule.h"
#include "train/solver_rules.h"
#include "trainer.pb.h"

namespace trainer {

// SGD with momentum and weight decay, to time or plan an iteration without a solver.
caffe::SolverParameter default_solver();

struct UpdatedParameter {
  const ParameterInfo* info;
  int since = 0;  // the iteration of its first update
};

class UpdateRule {
 public:
  // The store must have the parameter and gradient groups; adds the groups of history and, on the first rank, of
  // averages (state_names.h).
  UpdateRule(const caffe::SolverParameter& solver, const std::vector<const ParameterInfo*>& parameters,
             DeviceSession& device_session);

  // Updates these parameters, in the order of the groups, and leaves the others as they are. A rule that corrects the
  // start of its history counts the iterations of each parameter from its first update on.
  void update_only(const std::vector<UpdatedParameter>& parameters);

  // Sets the numbers of iteration `iteration` for the updates queued after this call.
  void prepare(const ScheduledValues& values, int iteration);
  // On a single GPU the update, which NetSession::queue_next runs right after the last pass of an iteration, before the
  // host has read the loss: it changes nothing if the loss is not finite or labels are bad. Elsewhere nullptr.
  Program* program_after_pass() { return follows_pass_ ? program_.get() : nullptr; }
  // Elsewhere, runs the update. Call after the losses of all devices are known to be finite.
  void run_after_loss() {
    if (!follows_pass_) program_->run({});
  }
  // As prepare and run; adds the seconds of each step.
  void run_timed(const ScheduledValues& values, int iteration, std::vector<double>* seconds);

  const Program& program() const { return *program_; }

 private:
  // The numbers of an iteration; those from kRuleScalars on are the scalars of the rule, for each of since_.
  static constexpr size_t kRate = 0, kCoefficient = 1, kMomentum = 2, kWeightDecay = 3, kRuleScalars = 4;

  caffe::SolverParameter solver_;
  const Rule& rule_;
  DeviceSession& device_session_;
  const bool follows_pass_, keeps_average_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<DeviceBlock> scalars_;
  std::vector<int> since_;                    // the different ones of the parameters, ascending
  std::vector<float> next_scalars_, spread_;  // of prepare(), which allocates nothing
  std::vector<float> scalars_on_device_;      // after the queued work; empty if unknown
};

}  // namespace trainer
