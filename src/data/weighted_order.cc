// Fixed-point numbers keep records with a whole expected number exact.
#include "data/weighted_order.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "base/error.h"
#include "base/philox.h"
#include "data/sampler.h"

namespace trainer {

namespace {

constexpr uint64_t kOne = uint64_t{1} << 32;

// Separate the draws of the order within classes and of the offset from those of the order of the epoch.
constexpr uint64_t kClassDraws = uint64_t{1} << 63, kOffsetDraws = uint64_t{1} << 62;

std::vector<uint64_t> expected_reads(const std::vector<double>& weights) {
  const double total = std::accumulate(weights.begin(), weights.end(), 0.0);
  TRAINER_ASSERT(total > 0 && std::isfinite(total));
  const double scale = static_cast<double>(weights.size()) * static_cast<double>(kOne) / total;
  std::vector<uint64_t> expected;
  expected.reserve(weights.size());
  uint64_t rest = weights.size() * kOne;
  for (const double weight : weights) {
    expected.push_back(static_cast<uint64_t>(std::nearbyint(weight * scale)));
    rest -= expected.back();
  }
  // Numbers that are not whole absorb the roundings, a unit each.
  const uint64_t unit = rest < kOne ? 1 : ~uint64_t{0};
  while (rest != 0) {
    for (size_t i = 0; i < expected.size() && rest != 0; ++i) {
      if (expected[i] % kOne == 0) continue;
      expected[i] += unit;
      rest -= unit;
    }
  }
  return expected;
}

}  // namespace

WeightedOrder::WeightedOrder(const RecordWeights& records, uint64_t key)
    : key_(key), expected_(expected_reads(records.weights)) {
  for (size_t i = 0; i < expected_.size(); ++i) {
    if (expected_[i] > 0) by_class_.push_back(static_cast<uint32_t>(i));
  }
  const auto count = static_cast<uint32_t>(by_class_.size());
  if (!records.classes.empty()) {
    const auto class_at = [&](uint32_t i) { return records.classes[by_class_[i]]; };
    std::stable_sort(by_class_.begin(), by_class_.end(),
                     [&](uint32_t a, uint32_t b) { return records.classes[a] < records.classes[b]; });
    for (uint32_t i = 1; i < count; ++i) {
      if (class_at(i) != class_at(i - 1)) class_ends_.push_back(i);
    }
  }
  class_ends_.push_back(count);
}

void WeightedOrder::draw(uint64_t epoch, std::vector<uint32_t>& drawn) {
  order_ = by_class_;
  uint32_t begin = 0;
  for (const uint32_t end : class_ends_) {
    shuffle_items(key_ ^ kClassDraws, epoch, begin, std::span(order_).subspan(begin, end - begin));
    begin = end;
  }
  drawn.clear();
  drawn.reserve(expected_.size());
  uint64_t at = philox(key_ ^ kOffsetDraws, epoch, 0)[0];
  for (const uint32_t record : order_) {
    const uint64_t next = at + expected_[record];
    drawn.insert(drawn.end(), static_cast<size_t>(next / kOne - at / kOne), record);
    at = next;
  }
  shuffle_items(key_, epoch, 0, drawn);
}

int64_t WeightedOrder::memory_bytes() const {
  return static_cast<int64_t>(expected_.size() * sizeof(uint64_t) +
                              (2 * by_class_.size() + class_ends_.size()) * sizeof(uint32_t));
}

}  // namespace trainer
