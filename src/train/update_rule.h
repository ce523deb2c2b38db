// The update rule of each solver type as one map over the flat parameters, gradients and history.
//
// The order is Caffe's, after the division by the loss scale (loss_scale.h): average over the devices that train
// together, clip by the global norm of the accumulated gradient, divide by iter_size, regularize, then apply the rule
// with rate * lr_mult. lr_mult and decay_mult are piecewise constant over the flat states (SegmentTable). In the
// padding between parameters gradient, weight and history are and stay zero.
#pragma once

#include <memory>
#include <string>
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

  // Applies the update of iteration `iteration` with this rate.
  void apply(float rate, int iteration);
  void apply_timed(float rate, int iteration, std::vector<double>* seconds);

  const Program& program() const { return *program_; }

 private:
  void set_scalars(float rate, int iteration);

  caffe::SolverParameter solver_;
  std::unique_ptr<Program> program_;
  std::unique_ptr<DeviceBlock> scalars_;  // rate, and Adam's correction
  DeviceSession& device_session_;
};

}  // namespace trainer
