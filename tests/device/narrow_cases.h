// Ops in f32 and in 16-bit types: random operands, the results of the reference, and the comparison.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "device/kernel_cases.h"
#include "runtime/windows.h"
#include "tensor/bf16.h"

namespace trainer::cpu {

// The operands and results of an op under test.
struct OpRun {
  const OpCase& c;
  std::vector<Bytes> inputs, outputs;
  std::vector<void*> at_inputs, at_outputs;

  OpRun(const OpCase& op, std::vector<Bytes> operands) : c(op), inputs(std::move(operands)) {
    for (const TensorDesc& desc : c.instance.outputs) {
      outputs.push_back(storage(desc));
      std::memset(outputs.back().data(), 0xAB, static_cast<size_t>(desc.bytes()));
    }
  }
  const TensorDesc& in(size_t i) const { return c.instance.inputs[i]; }
  const TensorDesc& out(size_t i) const { return c.instance.outputs[i]; }
  float* optional_floats(size_t i) { return i < inputs.size() ? reinterpret_cast<float*>(inputs[i].data()) : nullptr; }
};

// The value of an element of a float type.
inline float value_of(const Bytes& bytes, DType dtype, int64_t i) {
  const uint16_t bits = reinterpret_cast<const uint16_t*>(bytes.data())[dtype == DType::kF32 ? 0 : i];
  switch (dtype) {
    case DType::kF16: return static_cast<float>(__builtin_bit_cast(_Float16, bits));
    case DType::kBF16: return to_float(static_cast<Bf16>(bits));
    default: return reinterpret_cast<const float*>(bytes.data())[i];
  }
}
inline void set_value(Bytes* bytes, DType dtype, int64_t i, float value) {
  switch (dtype) {
    case DType::kF32: reinterpret_cast<float*>(bytes->data())[i] = value; break;
    case DType::kBF16: reinterpret_cast<Bf16*>(bytes->data())[i] = to_bf16(value); break;
    default: reinterpret_cast<_Float16*>(bytes->data())[i] = static_cast<_Float16>(value);
  }
}

inline bool is_float(DType dtype) { return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16; }

// Normal floats, winners among the taps and sometimes none, any bytes for other types.
inline std::vector<Bytes> random_operands(const OpCase& c) {
  std::vector<Bytes> operands;
  for (size_t input = 0; input < c.instance.inputs.size(); ++input) {
    const TensorDesc& desc = c.instance.inputs[input];
    const uint64_t key = philox_key(7, c.name, std::to_string(input), "operand");
    Bytes bytes = storage(desc);
    for (int64_t i = 0; i < desc.shape.count(); ++i) {
      const uint64_t element = static_cast<uint64_t>(i);
      if (is_float(desc.dtype)) {
        set_value(&bytes, desc.dtype, i, philox_normal(key, 0, element));
        continue;
      }
      const int64_t winner = philox_element(key, 0, element) % static_cast<uint64_t>(c.taps + 1);
      const bool pool = c.op->kind == OpKind::kMaxPoolGradient;
      const int64_t any = !pool ? philox_element(key, 1, element) : winner == c.taps ? -1 : winner;
      if (desc.dtype == DType::kS32) {
        reinterpret_cast<int32_t*>(bytes.data())[i] = static_cast<int32_t>(any);
      } else {
        reinterpret_cast<uint8_t*>(bytes.data())[i] = static_cast<uint8_t>(any);
      }
    }
    operands.push_back(std::move(bytes));
  }
  return operands;
}

// The op with operands and results in another type. As after lower_precision, weights and biases stay f32.
inline OpCase narrowed(const OpCase& c, DType dtype) {
  OpCase out = c;
  const OpKind kind = c.op->kind;
  const bool has_weights =
      kind == OpKind::kConvolution || kind == OpKind::kConvolutionInputGradient || kind == OpKind::kMatmul;
  for (size_t i = 0; i < (has_weights ? 1 : c.instance.inputs.size()); ++i) {
    if (c.instance.inputs[i].dtype == DType::kF32) out.instance.inputs[i].dtype = dtype;
  }
  if (kind != OpKind::kConvolutionWeightGradient) out.instance.outputs[0].dtype = dtype;
  return out;
}

// The results of the reference in f32 for the same values.
inline std::vector<Bytes> expected_of(const OpCase& c, const std::vector<Bytes>& operands) {
  OpCase wide = c;
  std::vector<Bytes> inputs = operands;
  const auto widen = [](TensorDesc& desc) {
    if (is_float(desc.dtype)) desc.dtype = DType::kF32;
  };
  if (is_float(c.instance.inputs[0].dtype)) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      widen(wide.instance.inputs[i]);
      if (!is_float(c.instance.inputs[i].dtype)) continue;
      inputs[i] = storage(wide.instance.inputs[i]);
      for (int64_t e = 0; e < c.instance.inputs[i].shape.count(); ++e)
        set_value(&inputs[i], DType::kF32, e, value_of(operands[i], c.instance.inputs[i].dtype, e));
    }
    for (TensorDesc& desc : wide.instance.outputs) widen(desc);
  }
  return run_kernel(reference_of(c.op->kind), wide.instance, inputs, 1);
}

// f32 results must be within `tolerance` of the largest value, 16-bit results within their rounding, others equal.
inline void expect_same(const OpRun& run, const std::vector<Bytes>& expected, float tolerance) {
  for (size_t output = 0; output < expected.size(); ++output) {
    const TensorDesc& desc = run.out(output);
    const Bytes& got = run.outputs[output];
    EXPECT_EQ(got.back(), 0u) << run.c.name << ": wrote past the end";
    if (!is_float(desc.dtype)) {
      EXPECT_TRUE(expected[output] == got) << run.c.name;
      continue;
    }
    float largest = 0;
    const float* values = reinterpret_cast<const float*>(expected[output].data());
    for (int64_t i = 0; i < desc.shape.count(); ++i) largest = std::max(largest, std::abs(values[i]));
    for (int64_t i = 0; i < desc.shape.count(); ++i) {
      const float wanted = values[i], value = value_of(got, desc.dtype, i);
      const float rounding = desc.dtype == DType::kF32 ? 0 : desc.dtype == DType::kBF16 ? 0x1p-8f : 0x1p-11f;
      // The negation makes NaN fail.
      if (!(std::abs(value - wanted) <= rounding * std::abs(wanted) + tolerance * largest + 1e-6f)) {
        ADD_FAILURE() << run.c.name << " " << name_of(desc.dtype) << ": element " << i << " is " << value
                      << ", the reference's " << wanted;
        return;
      }
    }
  }
}

// The multiply-adds of a convolution.
inline int64_t work_of(const OpCase& c) {
  const ConvolutionGeometry g = convolution_geometry(c.instance);
  return g.batch * g.out_channels() * g.filter() * g.windows.out_count();
}

}  // namespace trainer::cpu
