// The lines that debug_info logs for a pass: the mean absolute value of each blob, parameter and gradient, layer by
// layer, and the norms of all parameters, in Caffe's form (Net::ForwardDebugInfo, Net::BackwardDebugInfo).
#pragma once

#include <string>
#include <vector>

#include "lowering/lower_net.h"
#include "runtime/program.h"

namespace trainer {

// The gradients of a pass: none, or those of the pass, added to those of earlier passes of the iteration.
struct DebugScope {
  bool backward = false;
  bool accumulates = false;
  bool force_backward = false;  // also of blobs that depend on no trained parameter
  bool scales_loss = false;     // gradients are multiplied by the loss scale
};

// The lines and the results of a program that are their numbers.
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

  // Call after a run of the program.
  std::vector<std::string> lines(const Program& program) const;
};

// Adds the numbers to the graph of `net`, which must be lowered with separate readers, and to the `results` of its
// module.
DebugInfo add_debug_info(LoweredNet& net, const DebugScope& scope, std::vector<int>* results);

}  // namespace trainer
