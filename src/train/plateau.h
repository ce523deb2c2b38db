// lr_policy "plateau": counts the checks of a metric that bring no improvement.
#pragma once

#include <string>
#include <vector>

#include "report/run_events.h"
#include "trainer.pb.h"

namespace trainer {

bool is_plateau(const caffe::SolverParameter& solver);
// Whether the solver watches an output of a test net, not the training loss.
bool watches_test(const caffe::SolverParameter& solver);

// The value of the watched output of a test. If the test has no single value of this name, sets `problem`.
double watched_value(const caffe::PlateauParameter& plateau, const std::vector<OutputValue>& outputs,
                     std::string* problem);

// Counts a check, as PyTorch's ReduceLROnPlateau with threshold_mode "abs". Returns whether it reduces the rate.
bool note_check(const caffe::PlateauParameter& plateau, double value, caffe::PlateauState* state);
// Counts the training loss of an iteration. Returns whether stepsize iterations are complete, and then sets `mean`.
bool note_training_loss(const caffe::SolverParameter& solver, float loss, caffe::PlateauState* state, double* mean);

}  // namespace trainer
