// Finds out that this process was suspended: meanwhile it could not hear the others.
#pragma once

#include <chrono>

namespace trainer {

class Suspension {
 public:
  // Whether the process was suspended since the last call. Call in each turn of a loop whose turns take much less than
  // kLongestTurn.
  bool ended() {
    const Clock::time_point last = last_;
    last_ = Clock::now();
    return last_ - last > kLongestTurn;
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr auto kLongestTurn = std::chrono::seconds(3);
  Clock::time_point last_ = Clock::now();
};

}  // namespace trainer
