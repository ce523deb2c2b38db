// Sums records and the sums of other threads.
#include "data/validate/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace trainer {
namespace {

// Adds interleaved bytes in independent lanes, so that the compiler can use vector instructions. 48 lanes hold whole
// pixels of 1, 2, 3 or 4 channels.
void add_bytes(const uint8_t* bytes, size_t count, std::span<ChannelSum> sums) {
  constexpr size_t kLanes = 48, kMostSteps = 60000;  // a lane of 32 bits holds the squares of as many steps
  const size_t channels = sums.size();
  size_t done = 0;
  while (kLanes % channels == 0 && count - done >= kLanes) {
    std::array<uint32_t, kLanes> sum{}, squares{};
    const size_t steps = std::min((count - done) / kLanes, kMostSteps);
    for (size_t step = 0; step < steps; ++step, done += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        const uint32_t value = bytes[done + lane];
        sum[lane] += value;
        squares[lane] += value * value;
      }
    }
    for (size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane % channels].sum += sum[lane];
      sums[lane % channels].squares += squares[lane];
    }
  }
  for (; done < count; ++done) {
    const uint32_t value = bytes[done];
    sums[done % channels].sum += value;
    sums[done % channels].squares += value * value;
  }
}

void add_floats(const float* values, size_t count, size_t step, ChannelSum* channel) {
  for (size_t i = 0; i < count; ++i) {
    const auto value = static_cast<double>(values[i * step]);
    channel->sum += value;
    channel->squares += value * value;
  }
}

void add_channels(const PixelView& pixels, std::vector<ChannelSum>* sums) {
  const auto channels = static_cast<size_t>(pixels.shape.channels);
  const auto plane = static_cast<size_t>(pixels.shape.height * pixels.shape.width);
  sums->resize(channels);
  for (ChannelSum& channel : *sums) channel.count += plane;
  if (pixels.bytes != nullptr && pixels.interleaved) return add_bytes(pixels.bytes, plane * channels, *sums);
  for (size_t c = 0; c < channels; ++c) {
    if (pixels.bytes != nullptr) {
      add_bytes(pixels.bytes + c * plane, plane, {&(*sums)[c], 1});
    } else {
      const size_t first = pixels.interleaved ? c : c * plane;
      add_floats(pixels.floats + first, plane, pixels.interleaved ? channels : 1, &(*sums)[c]);
    }
  }
}

void add_mask(const PixelView& mask, LabelValues* labels) {
  std::array<uint64_t, 256> counts{};
  for (int64_t i = 0; i < mask.shape.count(); ++i) ++counts[mask.bytes[i]];
  for (size_t value = 0; value < counts.size(); ++value) {
    if (counts[value] > 0) labels->add(static_cast<float>(value), counts[value]);
  }
}

void count_shape(const ItemShape& shape, const ShapeCount& more, ShapeCounts* counts) {
  const auto [place, added] = counts->emplace(shape, more);
  if (added) return;
  place->second.records += more.records;
  place->second.first = std::min(place->second.first, more.first);
}

}  // namespace

double ChannelSum::deviation() const {
  if (count == 0) return 0;
  return std::sqrt(std::max(0.0, squares / static_cast<double>(count) - mean() * mean()));
}

void LabelValues::add(float value, uint64_t times) {
  const auto number = static_cast<double>(value);
  least = values == 0 ? number : std::min(least, number);
  greatest = values == 0 ? number : std::max(greatest, number);
  values += times;
  if (number != std::trunc(number) || std::abs(number) > 1e9) {
    whole = false;
  } else if (of_class.size() <= kMostClasses) {
    of_class[static_cast<int64_t>(number)] += times;
  }
}

void DataStatistics::add(const StoredRecord& record, const std::string& kind, uint64_t index) {
  ++records;
  ++kinds[kind];
  count_shape(record.pixels.shape, {1, index}, &stored);
  count_shape(record.item, {1, index}, &items);
  add_channels(record.pixels, &channels[record.pixels.shape.channels]);
  for (const StoredRecord::Label& label : record.labels) {
    LabelValues& of_top = labels[label.top];
    ++of_top.records;
    for (const float value : label.values) of_top.add(value);
  }
  if (record.mask.bytes == nullptr) return;
  LabelValues& of_mask = labels[1];
  ++of_mask.records;
  add_mask(record.mask, &of_mask);
}

void DataStatistics::add(const DataStatistics& other) {
  records += other.records;
  for (const auto& [kind, count] : other.kinds) kinds[kind] += count;
  for (const auto& [shape, count] : other.stored) count_shape(shape, count, &stored);
  for (const auto& [shape, count] : other.items) count_shape(shape, count, &items);
  for (const auto& [number, sums] : other.channels) {
    std::vector<ChannelSum>& own = channels[number];
    own.resize(sums.size());
    for (size_t c = 0; c < sums.size(); ++c) {
      own[c].count += sums[c].count;
      own[c].sum += sums[c].sum;
      own[c].squares += sums[c].squares;
    }
  }
  for (const auto& [top, more] : other.labels) {
    LabelValues& own = labels[top];
    if (more.values > 0) {
      own.least = own.values == 0 ? more.least : std::min(own.least, more.least);
      own.greatest = own.values == 0 ? more.greatest : std::max(own.greatest, more.greatest);
    }
    own.records += more.records;
    own.values += more.values;
    own.whole = own.whole && more.whole;
    for (const auto& [number, count] : more.of_class) own.of_class[number] += count;
  }
}

}  // namespace trainer
