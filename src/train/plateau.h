// lr_policy "plateau": counts the checks of a metric that bring no improvement.
#pragma once

#include "trainer.pb.h"

namespace trainer {

bool is_plateau(const caffe::SolverParameter& solver);
// Whether the solver watches an output of a test net, not the training loss.
bool watches_test(const caffe::SolverParameter& solver);

// Counts a check, as PyTorch's ReduceLROnPlateau with threshold_mode "abs". Returns whether it reduces the rate.
bool note_check(const caffe::PlateauParameter& plateau, double value, caffe::PlateauState* state);
// Counts the training loss of an iteration. Returns whether stepsize iterations are complete, and then sets `mean`.
bool note_training_loss(const caffe::SolverParameter& solver, float loss, caffe::PlateauState* state, double* mean);

}  // namespace trainer
