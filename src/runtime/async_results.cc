// Copies results to two slots in turn.
#include "runtime/async_results.h"

#include "base/error.h"

namespace trainer {

AsyncResults::AsyncResults(Device& device, const Program& program, std::vector<int> results)
    : program_(program), results_(std::move(results)) {
  int64_t count = 0;
  for (int result : results_) {
    TRAINER_ASSERT(program.result_desc(result).dtype == DType::kF32);
    count += program.result_desc(result).shape.count();
  }
  elements_.resize(static_cast<size_t>(count));
  for (auto& slot : slots_) slot = device.make_readback(elements_.size());
}

void AsyncResults::start() {
  size_t at = 0;
  for (int result : results_) {
    const auto* data = static_cast<const float*>(program_.result_data(result));
    for (int64_t i = 0; i < program_.result_desc(result).shape.count(); ++i) elements_[at++] = data + i;
  }
  last_ ^= 1;
  slots_[last_]->start(elements_);
}

}  // namespace trainer
