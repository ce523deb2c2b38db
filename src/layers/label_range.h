// The labels that a layer accepts.
#pragma once

#include <cstdint>
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

}  // namespace trainer
