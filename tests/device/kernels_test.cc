// The contract of the CPU's kernels: every implementation of every op against the reference, with one and two threads.
// An implementation that no case selects fails the test.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "device/cpu/isa.h"
#include "device/kernel_cases.h"

namespace trainer::cpu {
namespace {

// Random operands: normal floats, winners among the taps and sometimes none, any bytes for other types.
Bytes random_operand(const OpCase& c, size_t input) {
  const TensorDesc& desc = c.instance.inputs[input];
  Bytes bytes = storage(desc);
  const uint64_t key = philox_key(7, c.name, std::to_string(input), "operand");
  for (int64_t i = 0; i < desc.shape.count(); ++i) {
    const uint64_t element = static_cast<uint64_t>(i);
    if (desc.dtype == DType::kF32) {
      reinterpret_cast<float*>(bytes.data())[i] = philox_normal(key, 0, element);
      continue;
    }
    const int64_t winner = philox_element(key, 0, element) % static_cast<uint64_t>(c.taps + 1);
    const bool pool = c.op->kind == OpKind::kMaxPoolGradient;
    if (desc.dtype == DType::kS32) {
      reinterpret_cast<int32_t*>(bytes.data())[i] = static_cast<int32_t>(winner == c.taps ? kNoWinnerS32 : winner);
    } else if (desc.dtype == DType::kU8) {
      const int64_t any = pool ? (winner == c.taps ? kNoWinnerU8 : winner) : philox_element(key, 1, element) % 256;
      reinterpret_cast<uint8_t*>(bytes.data())[i] = static_cast<uint8_t>(any);
    } else {
      reinterpret_cast<uint16_t*>(bytes.data())[i] = static_cast<uint16_t>(philox_element(key, 1, element));
    }
  }
  return bytes;
}

std::vector<Bytes> random_operands(const OpCase& c) {
  std::vector<Bytes> operands;
  for (size_t i = 0; i < c.instance.inputs.size(); ++i) operands.push_back(random_operand(c, i));
  return operands;
}

// Relative to the largest element. Winograd's transforms subtract numbers that are up to 16 times as large as the
// result.
float tolerance_of(const Implementation& implementation) {
  return implementation.name == std::string("winograd") ? 5e-5f : 1e-5f;
}

// Sums in f32 differ from the reference's sums in double. All other results must be bit-identical.
void expect_same(const Bytes& expected, const Bytes& got, const TensorDesc& desc, float tolerance,
                 const std::string& what) {
  if (desc.dtype != DType::kF32) {
    EXPECT_TRUE(expected == got) << what;
    return;
  }
  const float* a = reinterpret_cast<const float*>(expected.data());
  const float* b = reinterpret_cast<const float*>(got.data());
  float largest = 0;
  for (int64_t i = 0; i < desc.shape.count(); ++i) largest = std::max(largest, std::abs(a[i]));
  for (int64_t i = 0; i < desc.shape.count(); ++i) {
    // The negation makes NaN fail.
    if (!(std::abs(a[i] - b[i]) <= tolerance * largest + 1e-6f)) {
      ADD_FAILURE() << what << ": element " << i << " is " << b[i] << ", the reference's " << a[i];
      return;
    }
  }
  EXPECT_EQ(got.back(), 0u) << what << ": wrote past the end";
}

TEST(Kernels, AgreeWithTheReference) {
  std::set<std::pair<OpKind, std::string>> exercised;
  for (const OpCase& c : kernel_cases()) {
    const std::vector<Bytes> operands = random_operands(c);
    const std::vector<Bytes> expected = run_kernel(reference_of(c.op->kind), c.instance, operands, 2);
    exercised.insert({c.op->kind, "reference"});
    for (const Implementation& implementation : implementations_of(c.op->kind)) {
      if (!implementation.refuse(c.instance).empty() || &implementation == &reference_of(c.op->kind)) continue;
      exercised.insert({c.op->kind, implementation.name});
      for (int threads : {1, 2}) {
        const std::vector<Bytes> got = run_kernel(implementation, c.instance, operands, threads);
        for (size_t i = 0; i < got.size(); ++i) {
          expect_same(expected[i], got[i], c.instance.outputs[i], tolerance_of(implementation),
                      c.name + ", " + implementation.name + ", threads " + std::to_string(threads));
        }
      }
    }
  }
  for (int kind = 0; kind < kOpKinds; ++kind) {
    const OpKind k = static_cast<OpKind>(kind);
    if (k == OpKind::kMap || k == OpKind::kOpaque) continue;
    for (const Implementation& implementation : implementations_of(k)) {
      EXPECT_TRUE(exercised.count({k, implementation.name}) == 1)
          << name_of(k) << ": no case selects " << implementation.name;
    }
  }
}

TEST(Kernels, AreReproducible) {
  for (const OpCase& c : kernel_cases()) {
    const std::vector<Bytes> operands = random_operands(c);
    const Implementation& first =
        *std::find_if(implementations_of(c.op->kind).begin(), implementations_of(c.op->kind).end(),
                      [&](const Implementation& implementation) { return implementation.refuse(c.instance).empty(); });
    EXPECT_TRUE(run_kernel(first, c.instance, operands, 2) == run_kernel(first, c.instance, operands, 2))
        << c.name << ", " << first.name;
  }
}

// Every implementation that supports a case must return NaN in these elements.
void expect_nan_kept(const OpCase& c, const std::vector<Bytes>& operands) {
  for (const Implementation& implementation : implementations_of(c.op->kind)) {
    if (!implementation.refuse(c.instance).empty()) continue;
    const std::vector<Bytes> got = run_kernel(implementation, c.instance, operands, 2);
    const float* y = reinterpret_cast<const float*>(got[0].data());
    const int64_t count = c.instance.outputs[0].shape.count();
    EXPECT_TRUE(std::all_of(y, y + count, [](float v) { return std::isnan(v); })) << c.name << implementation.name;
  }
}

// Values that are not above 0 become exactly 0: a later layer would take a small rest for a signal.
TEST(Kernels, ReluLeavesNothingBelowZero) {
  for (const OpCase& c : kernel_cases()) {
    const Epilogue* epilogue = relu_after_bias(c);
    if (epilogue == nullptr || epilogue->slope != 0) continue;
    std::vector<Bytes> operands = random_operands(c);
    float* bias = reinterpret_cast<float*>(operands[2].data());
    std::fill_n(bias, c.instance.inputs[2].shape.count(), -1e6f);
    for (const Implementation& implementation : implementations_of(c.op->kind)) {
      if (!implementation.refuse(c.instance).empty()) continue;
      const std::vector<Bytes> got = run_kernel(implementation, c.instance, operands, 2);
      const float* y = reinterpret_cast<const float*>(got[0].data());
      EXPECT_TRUE(std::all_of(y, y + c.instance.outputs[0].shape.count(), [](float v) { return v == 0; }))
          << c.name << ", " << implementation.name;
    }
  }
}

TEST(Kernels, ReluKeepsNaN) {
  for (const OpCase& c : kernel_cases()) {
    if (relu_after_bias(c) == nullptr) continue;
    std::vector<Bytes> operands = random_operands(c);
    float* bias = reinterpret_cast<float*>(operands[2].data());
    std::fill_n(bias, c.instance.inputs[2].shape.count(), std::numeric_limits<float>::quiet_NaN());
    expect_nan_kept(c, operands);
  }
}

TEST(Kernels, MaxPoolPassesOverNaN) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  PoolAttributes a;
  a.kernel = {1, 2};
  a.stride = {1, 2};
  a.pad = {0, 0};
  for (int64_t channels : {1, 4, 8, 16, 20}) {
    const OpCase c =
        op_case("nan", OpKind::kMaxPool, a, {tensor({1, channels, 1, 6})},
                {tensor({1, channels, 1, 3}), tensor({1, channels, 1, 3}, MemoryFormat::kRowMajor, DType::kU8)});
    for (MemoryFormat order : {MemoryFormat::kRowMajor, MemoryFormat::kChannelsLast}) {
      OpInstance instance = c.instance;
      instance.inputs[0].order = instance.outputs[0].order = instance.outputs[1].order = order;
      Bytes x = storage(instance.inputs[0]);
      const float row[] = {nan, -3, nan, nan, 5, 5};
      const std::vector<int64_t> strides = instance.inputs[0].strides(), out = instance.outputs[0].strides();
      for (int64_t ch = 0; ch < channels; ++ch) {
        for (int64_t w = 0; w < 6; ++w) reinterpret_cast<float*>(x.data())[ch * strides[1] + w * strides[3]] = row[w];
      }
      for (const Implementation& implementation : implementations_of(OpKind::kMaxPool)) {
        const std::vector<Bytes> got = run_kernel(implementation, instance, {x}, 1);
        const float* y = reinterpret_cast<const float*>(got[0].data());
        const uint8_t* winner = reinterpret_cast<const uint8_t*>(got[1].data());
        for (int64_t ch = 0; ch < channels; ++ch) {
          const int64_t at = ch * out[1];
          EXPECT_EQ(y[at], -3) << implementation.name;
          EXPECT_EQ(winner[at], 1) << implementation.name;
          EXPECT_EQ(y[at + out[3]], -std::numeric_limits<float>::max()) << implementation.name;
          EXPECT_EQ(winner[at + out[3]], kNoWinnerU8) << implementation.name;
          EXPECT_EQ(y[at + 2 * out[3]], 5) << implementation.name;
          EXPECT_EQ(winner[at + 2 * out[3]], 0) << implementation.name;
        }
      }
    }
  }
}

}  // namespace
}  // namespace trainer::cpu
