// The start of an iteration, to which a training goes back when an exchange with other processes fails in it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "train/training_state.h"

namespace trainer {

class IterationStart {
 public:
  explicit IterationStart(TrainingState& state);

  // Parameters and history only change after the last exchange. A pass also changes positions, carried states and
  // statistics: these are kept.
  void remember();
  // The iteration is done.
  void forget() { positions_.clear(); }
  // Does nothing between iterations.
  void go_back();

 private:
  TrainingState& state_;
  std::vector<std::pair<std::string, std::vector<float>>> statistics_;  // by state
  std::vector<NetPosition> positions_;                                  // of each device
};

}  // namespace trainer
