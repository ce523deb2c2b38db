// The labels that a layer accepts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace trainer {

// The valid labels: integers in [0, classes), and the ignored label.
struct LabelRange {
  int64_t classes = 0;
  std::optional<int> ignore;
  std::string consumer;  // "layer \"loss\" (SoftmaxWithLoss)"; LayerContext::require_labels fills it in if it is empty
};

}  // namespace trainer
