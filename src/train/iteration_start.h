// The start of an iteration, to which a training goes back when an exchange with other processes fails in it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/memory.h"
#include "train/training_state.h"

namespace trainer {

class IterationStart {
 public:
  explicit IterationStart(TrainingState& state);

  // Parameters and history only change after the last exchange. A pass also changes positions, carried states and
  // statistics: these are kept, statistics in the memory of the device, without waiting for it.
  void remember();
  // The iteration is done.
  void forget() { positions_.clear(); }
  // Does nothing between iterations.
  void go_back();

 private:
  // Copies statistics in the memory of each device, in the order of its kernels.
  struct Kept {
    std::string state;
    int64_t bytes = 0, offset = 0;  // in the block of each device
  };

  TrainingState& state_;
  std::vector<Kept> statistics_;
  std::vector<std::unique_ptr<DeviceBlock>> blocks_;  // of each device
  std::vector<NetPosition> positions_;                // of each device
};

}  // namespace trainer
