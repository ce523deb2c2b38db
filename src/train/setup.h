// Sets a training up: opens devices and nets, adds their states and compiles their programs.
#pragma once

#include <memory>

#include "train/training.h"
#include "train/training_state.h"

namespace trainer {

// Throws all problems of solver, nets and data that can be found without running. Writes no file.
std::unique_ptr<TrainingState> set_up_training(TrainingFiles files, const TrainingOptions& options);

// The solver with its fields in epochs resolved for a training on one device. Opens the training net only if there are
// such fields.
caffe::SolverParameter resolved_solver(const TrainingFiles& files);

}  // namespace trainer
