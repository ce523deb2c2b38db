// Ops that fit no other kind: each defines its kernel and its gradient, in the file of its layer. The compiler does not
// fuse them and does not change their order. Inputs and outputs are row-major float.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "ops/graph.h"

namespace trainer {

class OpaqueOp {
 public:
  virtual ~OpaqueOp() = default;
  virtual std::string name() const = 0;
  // Computes the outputs. `inputs` and `outputs` are dense row-major floats in host memory. `pass` is the number of the
  // forward pass, for random draws.
  virtual void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t pass) const = 0;
  // Returns the gradients of the inputs; an empty Value means none. `inputs` and `outputs` are those of the op.
  virtual std::vector<Value> gradient(const std::vector<Value>& inputs, const std::vector<Value>& outputs,
                                      const std::vector<Value>& output_gradients) const {
    return std::vector<Value>(inputs.size());
  }
  // True for ops with an effect outside the graph: they are kept even if nothing reads their results, and keep their
  // order.
  virtual bool has_effect() const { return false; }
};

}  // namespace trainer
