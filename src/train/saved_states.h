// The states and the progress of a training in memory, and their way to other processes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ranks/group.h"
#include "train/training_state.h"

namespace trainer {

// All that a training continues from, apart from the carried states of other processes.
struct SavedStates {
  caffe::SolverState progress;
  std::map<std::string, std::vector<float>> values;  // of the states of the first device
};

SavedStates save_states(const TrainingState& state, const std::vector<NetPosition>& tests);
// For all devices of this process. Carried states that were not saved start with zeros.
void restore_states(const SavedStates& saved, TrainingState* state);

// Gives all processes the states and the progress of process `root`. Carried states remain as they are.
void share_states(Group& group, int root, TrainingState* state);

// Copies the states of the first device of this process to the others, except carried ones, which each has of its own.
void copy_to_other_devices(const TrainingState& state);

}  // namespace trainer
