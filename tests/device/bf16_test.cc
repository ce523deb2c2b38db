// bfloat16: the conversions, and every kernel that supports it against the reference on the same rounded values.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "device/cpu/isa.h"
#include "device/kernel_cases.h"
#include "tensor/bf16.h"

namespace trainer::cpu {
namespace {

TEST(Bf16, IsTheUpperHalfOfAFloatRoundedToTheEven) {
  const auto bits = [](float value) { return static_cast<int>(to_bf16(value)); };
  EXPECT_EQ(bits(1.0f), 0x3F80);
  EXPECT_EQ(bits(-2.0f), 0xC000);
  EXPECT_EQ(bits(0.0f), 0);
  EXPECT_EQ(bits(1.0f + 0x1p-8f), 0x3F80);                     // halfway: to even, down
  EXPECT_EQ(bits(1.0f + 3 * 0x1p-8f), 0x3F82);                 // halfway: to even, up
  EXPECT_EQ(bits(1.0f + 0x1p-8f + 0x1p-20f), 0x3F81);          // above halfway
  EXPECT_EQ(bits(std::numeric_limits<float>::max()), 0x7F80);  // rounds to infinity
  EXPECT_EQ(bits(std::numeric_limits<float>::infinity()), 0x7F80);
  EXPECT_TRUE(std::isnan(to_float(to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  // A NaN whose mantissa bits are all in the lower half.
  EXPECT_TRUE(std::isnan(to_float(to_bf16(__builtin_bit_cast(float, 0x7F800001u)))));
  EXPECT_EQ(to_float(static_cast<Bf16>(0x4049)), 3.140625f);
}

bool is_bf16_kind(OpKind kind) {
  switch (kind) {
    case OpKind::kConvolution:
    case OpKind::kConvolutionInputGradient:
    case OpKind::kConvolutionWeightGradient:
    case OpKind::kMatmul:
    case OpKind::kMaxPool:
    case OpKind::kMaxPoolGradient:
    case OpKind::kSumPool:
    case OpKind::kSumPoolGradient:
    case OpKind::kLrn:
    case OpKind::kLrnGradient: return true;
    default: return false;
  }
}

// The op after lower_precision: weights, biases and the gradient of weights stay f32.
OpCase narrowed(const OpCase& c) {
  OpCase out = c;
  const auto narrow = [](TensorDesc& desc) {
    if (desc.dtype == DType::kF32) desc.dtype = DType::kBF16;
  };
  OpInstance& instance = out.instance;
  const OpKind kind = c.op->kind;
  const bool convolution = kind == OpKind::kConvolution || kind == OpKind::kConvolutionInputGradient;
  const size_t count = convolution || kind == OpKind::kMatmul ? 1 : instance.inputs.size();
  for (size_t i = 0; i < count; ++i) narrow(instance.inputs[i]);
  if (kind != OpKind::kConvolutionWeightGradient) narrow(instance.outputs[0]);
  return out;
}

Bytes random_operand(const OpCase& c, size_t input) {
  const TensorDesc& desc = c.instance.inputs[input];
  Bytes bytes = storage(desc);
  const uint64_t key = philox_key(11, c.name, std::to_string(input), "operand");
  for (int64_t i = 0; i < desc.shape.count(); ++i) {
    const float normal = philox_normal(key, 0, static_cast<uint64_t>(i));
    const int64_t winner = philox_element(key, 1, static_cast<uint64_t>(i)) % static_cast<uint64_t>(c.taps);
    switch (desc.dtype) {
      case DType::kF32: reinterpret_cast<float*>(bytes.data())[i] = normal; break;
      case DType::kBF16: reinterpret_cast<Bf16*>(bytes.data())[i] = to_bf16(normal); break;
      case DType::kS32: reinterpret_cast<int32_t*>(bytes.data())[i] = static_cast<int32_t>(winner); break;
      default: reinterpret_cast<uint8_t*>(bytes.data())[i] = static_cast<uint8_t>(winner);
    }
  }
  return bytes;
}

std::vector<float> floats(const Bytes& bytes, const TensorDesc& desc) {
  std::vector<float> out(static_cast<size_t>(desc.shape.count()));
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = desc.dtype == DType::kBF16 ? to_float(reinterpret_cast<const Bf16*>(bytes.data())[i])
                                        : reinterpret_cast<const float*>(bytes.data())[i];
  }
  return out;
}

// The results of the reference in f32 on the same rounded operands.
std::vector<Bytes> expected_of(const OpCase& narrow, const OpCase& wide, const std::vector<Bytes>& operands) {
  std::vector<Bytes> widened;
  for (size_t i = 0; i < operands.size(); ++i) {
    widened.push_back(operands[i]);
    if (narrow.instance.inputs[i].dtype != DType::kBF16) continue;
    widened.back() = storage(wide.instance.inputs[i]);
    const std::vector<float> values = floats(operands[i], narrow.instance.inputs[i]);
    std::copy(values.begin(), values.end(), reinterpret_cast<float*>(widened.back().data()));
  }
  return run_kernel(reference_of(wide.op->kind), wide.instance, widened, 2);
}

// The rounding of a result is 2^-9 of it; the same is true for each weight.
constexpr float kTolerance = 0x1p-7f;

TEST(Bf16, KernelsAgreeWithTheReference) {
  std::map<std::string, std::set<OpKind>> exercised;
  for (const OpCase& wide : kernel_cases()) {
    if (!is_bf16_kind(wide.op->kind) || wide.instance.inputs[0].shape.count() > 1000000) continue;
    const OpCase c = narrowed(wide);
    std::vector<Bytes> operands;
    for (size_t i = 0; i < c.instance.inputs.size(); ++i) operands.push_back(random_operand(c, i));
    const std::vector<Bytes> expected = expected_of(c, wide, operands);
    for (const Implementation& implementation : implementations_of(c.op->kind)) {
      if (!implementation.refuse(c.instance).empty()) continue;
      exercised[implementation.name].insert(c.op->kind);
      for (int threads : {1, 2}) {
        const std::vector<Bytes> got = run_kernel(implementation, c.instance, operands, threads);
        const std::vector<float> a = floats(expected[0], wide.instance.outputs[0]),
                                 b = floats(got[0], c.instance.outputs[0]);
        float largest = 0;
        for (float value : a) largest = std::max(largest, std::abs(value));
        for (size_t i = 0; i < a.size(); ++i) {
          ASSERT_TRUE(std::abs(a[i] - b[i]) <= kTolerance * largest)
              << c.name << ", " << implementation.name << ", threads " << threads << ": element " << i << " is " << b[i]
              << ", the reference's " << a[i];
        }
        if (got.size() > 1) {
          EXPECT_TRUE(got[1] == expected[1]) << c.name << ", " << implementation.name << ": winners";
        }
      }
    }
  }
  EXPECT_EQ(exercised["winograd"].size(), 3u);
  const bool pairs = isa_level() == IsaLevel::v4 && __builtin_cpu_supports("avx512bf16");
  EXPECT_EQ(exercised["pointwise"].size(), pairs ? 1u : 0u);
  EXPECT_EQ(exercised["depthwise"].size(), 3u);
  EXPECT_EQ(exercised["direct"].size(), 9u);  // depthwise, pools, lrn
  EXPECT_EQ(exercised["reference"].size(), 10u);
}

TEST(Bf16, FloatKernelsRefuseIt) {
  for (const OpCase& wide : kernel_cases()) {
    if (!is_bf16_kind(wide.op->kind)) continue;
    const OpCase c = narrowed(wide);
    for (const Implementation& implementation : implementations_of(c.op->kind)) {
      const std::string name = implementation.name;
      const bool product = name == "pointwise" && c.op->kind != OpKind::kConvolutionWeightGradient;
      if (name != "openblas" && !product) continue;
      EXPECT_NE(implementation.refuse(c.instance), "") << c.name << ", " << name;
    }
  }
}

}  // namespace
}  // namespace trainer::cpu
