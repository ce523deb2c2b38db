// What debug_info logs of a pass: the mean absolute value of each blob, parameter and gradient, layer by layer, and the
// norms of all parameters, in Caffe's lines (Net::ForwardDebugInfo, Net::BackwardDebugInfo).
#pragma once

#include <string>
#include <vector>

#include "lowering/lower_net.h"
#include "runtime/program.h"

namespace trainer {

// Which gradients there are: none, or those of one pass, added to what earlier passes of the iteration left.
struct DebugScope {
  bool backward = false;
  bool accumulates = false;
  bool force_backward = false;  // of blobs too above which nothing learns
  bool scales_loss = false;     // gradients are made, and have accumulated, times the loss scale
};

// The lines, and which results of a program hold their numbers.
struct DebugInfo {
  struct Line {
    std::string text;  // up to the number
    int result;
  };
  struct Norms {
    std::vector<int> absolute, square;  // sums over each parameter
  };
  std::vector<Line> means;
  Norms data, diff;  // none without a backward pass

  // After the program ran.
  std::vector<std::string> lines(const Program& program) const;
};

// Adds the numbers to the graph of `net`, which was lowered with separate readers, and their values to `results` of the
// module that it becomes.
DebugInfo add_debug_info(LoweredNet& net, const DebugScope& scope, std::vector<int>* results);

}  // namespace trainer
