// From a solver file to a training's configuration: which nets, in which state, all of it checked.
#pragma once

#include <string>
#include <vector>

#include "session/configure_net.h"
#include "train/training.h"

namespace trainer {

struct ConfigureOptions {
  Edits edits;
  int level = 0;  // --level and --stage: added to the training net's state
  bool has_level = false;
  std::vector<std::string> stages;
};

// Reads the solver and its nets, applies overrides, filters each net for its state and checks the solver's fields.
// Every problem of all the files goes to `diagnostics`; the result is complete only where there are none. A
// random_seed below 0 is replaced by a drawn one. An Input layer that nothing fills is an error.
TrainingFiles configure_training(const std::string& solver_path, const ConfigureOptions& options,
                                 Diagnostics* diagnostics);

// Divides the batches of the training net's data layers among so many devices. A config_error names a layer whose
// batch_size cannot be divided.
void divide_batches(TrainingFiles* files, int devices);

}  // namespace trainer
