// The labels that a layer accepts, and how often a data set has each.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace trainer {

// The valid labels: integers in [0, classes), and the ignored label. Or soft labels: for each item a weight of each
// class, from 0, that sum to 1 or are all 0.
struct LabelRange {
  int64_t classes = 0;
  std::optional<int> ignore;
  std::string consumer;  // "layer \"loss\" (SoftmaxWithLoss)"; LayerContext::require_labels fills it in if it is empty
  int class_axis = 0;    // of soft labels; 0: labels are integers
};

// The number of labels with each value.
using LabelCounts = std::map<int64_t, uint64_t>;

}  // namespace trainer
