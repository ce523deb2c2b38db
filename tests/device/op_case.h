// Ops with descriptors for tests, and functions that run an implementation.
#pragma once

#include <omp.h>

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/philox.h"
#include "device/cpu/implementations.h"

namespace trainer::cpu {

struct OpCase {
  std::string name;
  std::shared_ptr<Op> op = std::make_shared<Op>();
  OpInstance instance;
  int64_t taps = 1;  // of pooling: the range of random winners
};

using Bytes = std::vector<uint32_t>;  // 4-byte aligned storage

inline TensorDesc tensor(Shape shape, MemoryFormat order = MemoryFormat::kRowMajor, DType dtype = DType::kF32) {
  TensorDesc desc;
  desc.shape = std::move(shape);
  desc.order = order;
  desc.dtype = dtype;
  return desc;
}

inline OpCase op_case(std::string name, OpKind kind, Attributes attributes, std::vector<TensorDesc> inputs,
                      std::vector<TensorDesc> outputs) {
  OpCase c;
  c.name = std::string(name_of(kind)) + " " + std::move(name);
  c.op->kind = kind;
  c.op->attributes = std::move(attributes);
  c.instance.op = c.op.get();
  c.instance.inputs = std::move(inputs);
  c.instance.outputs = std::move(outputs);
  return c;
}

inline Bytes storage(const TensorDesc& desc) { return Bytes(static_cast<size_t>(desc.bytes() + 3) / 4 + 1); }

// Runs a kernel once on copies of the operands and returns the results. The last word of a result stays 0, so the
// caller's comparison detects writes past the end.
inline std::vector<Bytes> run_kernel(const Implementation& implementation, const OpInstance& instance,
                                     const std::vector<Bytes>& inputs, int threads) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  std::unique_ptr<Kernel> kernel = implementation.create(instance);
  std::vector<Bytes> operands = inputs, results;
  std::vector<void*> in, out;
  for (Bytes& operand : operands) in.push_back(operand.data());
  for (const TensorDesc& desc : instance.outputs) {
    results.push_back(storage(desc));
    // Results must not depend on the previous contents of memory.
    std::memset(results.back().data(), 0xAB, static_cast<size_t>(desc.bytes()));
  }
  for (Bytes& result : results) out.push_back(result.data());
  const size_t bytes = (static_cast<size_t>(kernel->workspace_bytes()) + 127) / 64 * 64;
  std::unique_ptr<void, void (*)(void*)> workspace(std::aligned_alloc(64, bytes), std::free);
  std::memset(workspace.get(), 0xCD, bytes);
  kernel->bind(in, out, workspace.get());
  kernel->run({});
  omp_set_num_threads(before);
  return results;
}

inline const Implementation& reference_of(OpKind kind) { return implementations_of(kind).back(); }

// Runs the reference on floats in row-major order of channels-first tensors.
inline std::vector<float> run_reference(const OpCase& c, const std::vector<std::vector<float>>& inputs,
                                        size_t result = 0) {
  std::vector<Bytes> operands;
  for (size_t i = 0; i < inputs.size(); ++i) {
    operands.push_back(storage(c.instance.inputs[i]));
    std::memcpy(operands.back().data(), inputs[i].data(), inputs[i].size() * sizeof(float));
  }
  const std::vector<Bytes> results = run_kernel(reference_of(c.op->kind), c.instance, operands, 1);
  std::vector<float> values(static_cast<size_t>(c.instance.outputs[result].shape.count()));
  std::memcpy(values.data(), results[result].data(), values.size() * sizeof(float));
  return values;
}

}  // namespace trainer::cpu
