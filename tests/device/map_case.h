// Maps for tests: a builder of bodies, tensors, and a function that runs a kernel on them.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/philox.h"
#include "device/cpu/isa.h"
#include "device/cpu/map_kernel.h"
#include "device/cpu/map_tiles.h"
#include "tensor/bf16.h"

namespace trainer::cpu {

// A body with the descriptors of its operands and results.
struct MapCase {
  Op op;
  std::vector<TensorDesc> inputs, outputs;

  explicit MapCase(Shape domain = {}) {
    op.kind = OpKind::kMap;
    op.attributes = MapBody{};
    body().domain = std::move(domain);
  }
  MapBody& body() { return op.as<MapBody>(); }
  const MapBody& body() const { return op.as<MapBody>(); }

  int node(Fn fn, int a = -1, int b = -1, int c = -1, float k = 0) {
    body().nodes.push_back({fn, a, b, c, k});
    return static_cast<int>(body().nodes.size()) - 1;
  }
  int input(Shape shape, MemoryFormat order = MemoryFormat::kRowMajor, DType dtype = DType::kF32) {
    inputs.push_back({std::move(shape), dtype, order});
    return node(Fn::kInput, static_cast<int>(inputs.size()) - 1);
  }
  int constant(float k) { return node(Fn::kConstant, -1, -1, -1, k); }
  void store(int node, MemoryFormat order = MemoryFormat::kRowMajor, DType dtype = DType::kF32) {
    body().outputs.push_back({node, Reduction::kNone, {}});
    outputs.push_back({body().domain, dtype, order});
  }
  void reduce(int node, Reduction reduction, std::vector<int> axes, MemoryFormat order = MemoryFormat::kRowMajor) {
    body().outputs.push_back({node, reduction, std::move(axes)});
    outputs.push_back({body().output_shape(body().outputs.size() - 1), DType::kF32, order});
  }
  OpInstance instance() const { return {&op, inputs, outputs}; }
};

// A tensor whose memory ends so that an address sanitizer detects reads past it.
class TestTensor {
 public:
  explicit TestTensor(const TensorDesc& desc)
      : count_(desc.shape.count()), dtype_(desc.dtype), bytes_(static_cast<size_t>(desc.bytes())) {}
  explicit TestTensor(const std::vector<float>& values)
      : count_(static_cast<int64_t>(values.size())), bytes_(values.size() * 4) {
    if (!values.empty()) std::memcpy(bytes_.data(), values.data(), bytes_.size());
  }
  template <typename T = float>
  T* data() {
    return reinterpret_cast<T*>(bytes_.data());
  }
  void* raw() { return bytes_.data(); }
  int64_t count() const { return count_; }
  size_t bytes() const { return bytes_.size(); }
  // For f32 and bf16.
  float operator[](int64_t i) const {
    return dtype_ == DType::kBF16 ? to_float(reinterpret_cast<const Bf16*>(bytes_.data())[i])
                                  : reinterpret_cast<const float*>(bytes_.data())[i];
  }
  std::vector<float> floats() const {
    std::vector<float> out(static_cast<size_t>(count_));
    if (!out.empty()) std::memcpy(out.data(), bytes_.data(), out.size() * 4);
    return out;
  }

 private:
  int64_t count_;
  DType dtype_ = DType::kF32;
  std::vector<char> bytes_;
};

// Small multiples of 1/4, so that a few sums and products are exact in any order.
inline TestTensor random_tensor(const TensorDesc& desc, uint64_t key) {
  TestTensor tensor(desc);
  for (int64_t i = 0; i < tensor.count(); ++i) {
    const uint32_t bits = philox_element(key, 0, static_cast<uint64_t>(i));
    const float value = 0.25f * static_cast<float>(static_cast<int>(bits % 17) - 8);
    switch (desc.dtype) {
      case DType::kU8: tensor.data<uint8_t>()[i] = static_cast<uint8_t>(bits % 5); break;
      case DType::kS32: tensor.data<int32_t>()[i] = static_cast<int32_t>(bits % 9) - 4; break;
      case DType::kBF16: tensor.data<Bf16>()[i] = to_bf16(value); break;
      default: tensor.data()[i] = value;
    }
  }
  return tensor;
}

// `alias[i]` >= 0: result i overwrites that operand.
inline std::vector<TestTensor> run_map(Kernel& kernel, const MapCase& c, std::vector<TestTensor> operands,
                                       const std::vector<int>& alias = {}, uint64_t pass = 0) {
  std::vector<TestTensor> results;
  std::vector<void*> in, out;
  for (TestTensor& operand : operands) in.push_back(operand.raw());
  for (const TensorDesc& desc : c.outputs) {
    results.emplace_back(desc);
    if (results.back().bytes() > 0) std::memset(results.back().raw(), 0xC6, results.back().bytes());
  }
  for (size_t i = 0; i < results.size(); ++i) {
    const bool in_place = i < alias.size() && alias[i] >= 0;
    out.push_back(in_place ? in[static_cast<size_t>(alias[i])] : results[i].raw());
  }
  const size_t bytes = (static_cast<size_t>(kernel.workspace_bytes()) + 64) / 64 * 64;
  std::unique_ptr<void, void (*)(void*)> workspace(std::aligned_alloc(64, bytes), std::free);
  std::memset(workspace.get(), 0xFF, bytes);
  kernel.bind(in, out, workspace.get());
  // Runs twice if no operand is overwritten: state of the first run must not matter.
  if (alias.empty()) kernel.run({pass + 1});
  kernel.run({pass});
  for (size_t i = 0; i < results.size(); ++i) {
    if (out[i] != results[i].raw()) std::memcpy(results[i].raw(), out[i], static_cast<size_t>(c.outputs[i].bytes()));
  }
  return results;
}

inline std::vector<TestTensor> run_reference(const MapCase& c, std::vector<TestTensor> operands, uint64_t pass = 0) {
  return run_map(*create_map_reference(c.instance()), c, std::move(operands), {}, pass);
}

inline const MapTable& table_of(IsaLevel level) {
  switch (level) {
    case IsaLevel::v2: return isa_v2::kMapTable;
    case IsaLevel::v3: return isa_v3::kMapTable;
    case IsaLevel::v4: break;
  }
  return isa_v4::kMapTable;
}
inline std::vector<IsaLevel> available_levels() {
  std::vector<IsaLevel> levels;
  for (IsaLevel level : {IsaLevel::v2, IsaLevel::v3, IsaLevel::v4}) {
    if (level <= isa_level()) levels.push_back(level);
  }
  return levels;
}

}  // namespace trainer::cpu
