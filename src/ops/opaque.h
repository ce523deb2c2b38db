// Ops that fit no other kind: they bring their shape rule, reference kernel and gradient themselves, in one file.
// The compiler neither fuses nor moves them past each other; inputs and outputs are row-major float.
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
  // Computes the outputs. `inputs` and `outputs` are dense row-major floats in host memory. `pass` numbers the
  // forward pass, for random draws.
  virtual void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t pass) const = 0;
  // Gradients of the inputs, an empty Value where there is none. `inputs`, `outputs` are the op's own.
  virtual std::vector<Value> gradient(const std::vector<Value>& inputs, const std::vector<Value>& outputs,
                                      const std::vector<Value>& output_gradients) const {
    return std::vector<Value>(inputs.size());
  }
  // True for ops with an effect outside the graph: they are kept though nobody reads a result, and keep their
  // order among themselves.
  virtual bool has_effect() const { return false; }
};

}  // namespace trainer
