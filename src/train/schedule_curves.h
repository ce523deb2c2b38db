// The schedule of a solver as curves, to show it without a training.
#pragma once

#include <string>
#include <vector>

#include "report/run_history.h"
#include "trainer.pb.h"

namespace trainer {

// Curves of learning rate, momentum and weight decay over all iterations, those that the solver schedules; long runs
// are sampled. The solver has passed check_solver, with fields in epochs resolved. With lr_policy "plateau" the rate is
// that of a metric that always improves.
std::vector<Series> schedule_curves(const caffe::SolverParameter& solver);

}  // namespace trainer
