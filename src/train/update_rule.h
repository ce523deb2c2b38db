// The update rule of each solver type as one map over the flat arena of parameters, gradients and history.
//
// Order as in Caffe, behind the loss scale (loss_scale.h) where there is one: average over the devices that train
// together, clip by the global norm of the accumulated gradient, divide by iter_size, regularise, then the rule with
// rate * lr_mult. lr_mult and decay_mult are piecewise constant over the arena (SegmentTable); padding between
// parameters has gradient, weight and history zero and stays so.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lowering/lower_net.h"
#include "runtime/program.h"
#include "session/device_session.h"
#include "trainer.pb.h"

namespace trainer {

// Solver types and how many history blobs a parameter has; 0 for an unknown type.
int history_blobs(const std::string& solver_type);
const std::vector<std::string>& solver_types();
// SGD with momentum and weight decay: for an iteration that is timed or planned without a solver.
caffe::SolverParameter default_solver();

class UpdateRule {
 public:
  // The states "parameters" and "gradients" must be in the store; adds the groups "history0", "history1" whose
  // members are named history_state(i, parameter).
  UpdateRule(const caffe::SolverParameter& solver, const std::vector<const ParameterInfo*>& parameters,
             DeviceSession& device_session);

  // Applies the update of iteration `iteration` with this rate.
  void apply(float rate, int iteration);
  void apply_timed(float rate, int iteration, std::vector<double>* seconds);
  // Where clip_gradients is set: the gradient's norm before the last update; else 0.
  float gradient_norm() const;

  const Program& program() const { return *program_; }
  static std::string history_state(int index, const std::string& parameter);

 private:
  void set_scalars(float rate, int iteration);

  caffe::SolverParameter solver_;
  bool clips_ = false;
  std::unique_ptr<Program> program_;
  std::unique_ptr<DeviceBlock> scalars_;  // rate, and Adam's correction
  DeviceSession& device_session_;
};

}  // namespace trainer
