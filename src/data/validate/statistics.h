// Sums over the records of a data set: sizes, kinds of files, values of each channel, labels. Those of several threads
// are added.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "data/stored_record.h"

namespace trainer {

struct ChannelSum {
  uint64_t count = 0;
  double sum = 0, squares = 0;  // exact for 8-bit values: whole numbers up to 2^53

  double mean() const { return count == 0 ? 0 : sum / static_cast<double>(count); }
  double deviation() const;  // of the population
};

// The values of the labels that one top gets.
struct LabelValues {
  uint64_t records = 0, values = 0;
  bool whole = true;
  double least = 0, greatest = 0;        // if there are values
  std::map<int64_t, uint64_t> of_class;  // how many values have this number, up to kMostClasses different ones
  static constexpr size_t kMostClasses = 100000;

  void add(float value, uint64_t times = 1);
  // Whole numbers, one for each record.
  bool are_classes() const { return whole && values == records && of_class.size() <= kMostClasses && least >= 0; }
};

struct ShapeOrder {
  bool operator()(const ItemShape& a, const ItemShape& b) const {
    return std::tie(a.channels, a.height, a.width) < std::tie(b.channels, b.height, b.width);
  }
};
// The records of each shape, and the first of them.
struct ShapeCount {
  uint64_t records = 0, first = 0;
};
using ShapeCounts = std::map<ItemShape, ShapeCount, ShapeOrder>;

struct DataStatistics {
  uint64_t records = 0;                   // that could be used
  std::map<std::string, uint64_t> kinds;  // "JPEG color", "PNG gray", "8-bit values", "floats"
  ShapeCounts stored;                     // as decoded
  ShapeCounts items;                      // as the layer gives them to the net
  // By the number of channels of a record, in the order blue, green, red.
  std::map<int64_t, std::vector<ChannelSum>> channels;
  std::map<size_t, LabelValues> labels;  // by top

  // `kind` is that of the record, number `index`.
  void add(const StoredRecord& record, const std::string& kind, uint64_t index);
  void add(const DataStatistics& other);
};

}  // namespace trainer
