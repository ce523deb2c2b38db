// The update rule of each solver type as one map over the flat parameters, gradients and history.
//
// The order is Caffe's, after the division by the loss scale (loss_scale.h): average over the devices that train
// together, clip by the global norm of the accumulated gradient, divide by iter_size, regularize, then apply the rule
// with rate * lr_mult. lr_mult and decay_mult are piecewise constant over the flat states (SegmentTable). In the
// padding between parameters gradient, weight and history are and stay zero.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lowering/lower_net.h"
#include "runtime/program.h"
#include "session/device_session.h"
#include "trainer.pb.h"

namespace trainer {

// The history blobs of a parameter for a solver type; 0 for an unknown type.
int history_blobs(const std::string& solver_type);
const std::vector<std::string>& solver_types();
// SGD with momentum and weight decay, to time or plan an iteration without a solver.
caffe::SolverParameter default_solver();

class UpdateRule {
 public:
  // The store must have the parameter and gradient groups; adds the history groups (state_names.h).
  UpdateRule(const caffe::SolverParameter& solver, const std::vector<const ParameterInfo*>& parameters,
             DeviceSession& device_session);

  // Sets the rate of iteration `iteration` for the updates queued after this call.
  void prepare(float rate, int iteration);
  // On a single GPU the update, which NetSession::queue_next runs right after the last pass of an iteration, before the
  // host has read the loss: it changes nothing if the loss is not finite or labels are bad. Elsewhere nullptr.
  Program* program_after_pass() { return follows_pass_ ? program_.get() : nullptr; }
  // Elsewhere, runs the update. Call after the losses of all devices are known to be finite.
  void run_after_loss() {
    if (!follows_pass_) program_->run({});
  }
  // As prepare and run; adds the seconds of each step.
  void run_timed(float rate, int iteration, std::vector<double>* seconds);

  const Program& program() const { return *program_; }

 private:
  caffe::SolverParameter solver_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<DeviceBlock> scalars_;                      // rate, and Adam's correction
  std::optional<std::pair<float, float>> scalars_on_device_;  // after the queued work
  DeviceSession& device_session_;
  const bool follows_pass_;
};

}  // namespace trainer
