// Reads and checks the configuration of a training: the solver and its nets.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "session/configure_net.h"
#include "train/parameter_patterns.h"

namespace trainer {

// A solver and its nets, as read, overridden and checked.
struct TrainingFiles {
  std::unique_ptr<caffe::SolverParameter> solver;
  Positions solver_positions;
  bool seed_drawn = false;  // the solver gives no random_seed
  FilteredNet train;
  std::vector<FilteredNet> tests;
  std::vector<std::unique_ptr<NetFile>> files;  // own the nets and positions
};

struct ConfigureOptions {
  Edits edits;
  PatternFlags patterns;
  int level = 0;  // --level and --stage: added to the training net's state
  bool has_level = false;
  std::vector<std::string> stages;
};

// Reads the solver and its nets, applies overrides and adds patterns, filters each net for its state and checks the
// fields of the solver. Adds the problems of all files to `diagnostics`; the result is complete only if there are none.
// Replaces a negative random_seed by a drawn one. An Input layer that nothing fills is an error.
TrainingFiles configure_training(const PrototxtSource& source, const ConfigureOptions& options,
                                 Diagnostics* diagnostics);

// Divides the batches of the training net's data layers among this many devices. Throws a config_error that names each
// layer whose batch_size is not divisible.
void divide_batches(TrainingFiles* files, int devices);

}  // namespace trainer
