// The states and the progress of a training in memory, and their transfer to other processes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ranks/group.h"
#include "train/training_state.h"

namespace trainer {

// All that a training continues from.
struct SavedStates {
  caffe::SolverState progress;                               // without carried states
  std::map<std::string, std::vector<float>> values;          // of the states of the first device
  std::vector<std::map<std::string, CarriedState>> carried;  // of each device of this process
};

SavedStates save_states(const TrainingState& state, const std::vector<NetPosition>& tests);
// For all devices of this process. Carried states that were not saved start with zeros.
void restore_states(const SavedStates& saved, TrainingState* state);

// Gives all processes the states and the progress of process `root`. With `carried`, which has the carried states of
// all devices, each process also takes its own, or zeros; without it carried states remain as they are. `carried` of
// the other processes is not read.
void share_states(Group& group, int root, TrainingState* state, const caffe::SolverState* carried = nullptr);

// Copies the states of the first device of this process to the others, except carried states, which differ between
// devices.
void copy_to_other_devices(const TrainingState& state);

}  // namespace trainer
