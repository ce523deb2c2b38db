// Sums over the processes, and keeps the sums of the last pass.
#include "session/group_sums.h"

#include <algorithm>
#include <chrono>

#include "base/error.h"

namespace trainer {

void GroupSums::sum(int number, std::span<float> values) {
  const auto at = static_cast<size_t>(number);
  if (repeats_) {
    TRAINER_ASSERT(at < last_.size() && last_[at].size() == values.size());
    std::copy(last_[at].begin(), last_[at].end(), values.begin());
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  group_.sum(values.data(), static_cast<int64_t>(values.size()));
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (last_.size() <= at) last_.resize(at + 1);
  last_[at].assign(values.begin(), values.end());
}

}  // namespace trainer
