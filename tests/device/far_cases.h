// Ops on tensors with byte offsets that exceed 31 and 32 bits. A case gives a few elements and expects a few; all
// others are zero, so that the operands can be in memory whose pages are never written.
#pragma once

#include <gtest/gtest.h>

#include <list>
#include <string>
#include <vector>

#include "device/kernel_cases.h"
#include "device/sparse_memory.h"
#include "tensor/bf16.h"

namespace trainer::cpu {

struct FarElement {
  size_t tensor;  // the index of the operand or result
  std::vector<int64_t> at;
  float value;
};

struct FarCase {
  OpCase c;
  std::vector<FarElement> given, expected;
};

inline int64_t far_offset(const TensorDesc& desc, const std::vector<int64_t>& at) {
  const std::vector<int64_t> strides = desc.strides();
  int64_t offset = 0;
  for (size_t axis = 0; axis < at.size(); ++axis) offset += at[axis] * strides[axis];
  return offset * size_of(desc.dtype);
}

// Conversions between the value and the bytes of an element.
inline Bytes far_bytes(DType dtype, float value) {
  switch (dtype) {
    case DType::kBF16: return {static_cast<uint32_t>(to_bf16(value))};
    case DType::kU8:
    case DType::kS32: return {static_cast<uint32_t>(value)};
    default: return {__builtin_bit_cast(uint32_t, value)};
  }
}
inline float far_value(DType dtype, uint32_t bits) {
  return dtype == DType::kBF16 ? to_float(static_cast<Bf16>(bits)) : __builtin_bit_cast(float, bits);
}

// Calls run(addresses of operands, addresses of results) on sparse memory and compares the results.
template <typename Run>
void check_far(const FarCase& far, const Run& run) {
  const OpInstance& instance = far.c.instance;
  std::list<SparseMemory> memory;
  const auto place = [&memory](const std::vector<TensorDesc>& tensors) {
    std::vector<void*> addresses;
    for (const TensorDesc& desc : tensors) addresses.push_back(memory.emplace_back(desc.bytes()).data());
    return addresses;
  };
  const std::vector<void*> in = place(instance.inputs), out = place(instance.outputs);
  for (const SparseMemory& block : memory) ASSERT_TRUE(block.is_there());
  for (const FarElement& element : far.given) {
    const TensorDesc& desc = instance.inputs[element.tensor];
    const Bytes bytes = far_bytes(desc.dtype, element.value);
    std::memcpy(static_cast<char*>(in[element.tensor]) + far_offset(desc, element.at), bytes.data(),
                static_cast<size_t>(size_of(desc.dtype)));
  }
  run(in, out);
  for (const FarElement& element : far.expected) {
    const TensorDesc& desc = instance.outputs[element.tensor];
    uint32_t bits = 0;
    std::memcpy(&bits, static_cast<char*>(out[element.tensor]) + far_offset(desc, element.at),
                static_cast<size_t>(size_of(desc.dtype)));
    EXPECT_EQ(far_value(desc.dtype, bits), element.value) << "at " << Shape(element.at).text();
  }
}

// Images of about 2.1e9 elements.
struct FarImages {
  int64_t items, rows, width;
};
constexpr FarImages kFarItems{3, 2, 350'000'000};   // distance of rows: 1.4e9 bytes; of items: 2.8e9 bytes
constexpr FarImages kFarRows{1, 2, 1'050'000'000};  // distance of rows: 4.2e9 bytes

// Windows over two rows, at both ends of the rows.
inline PoolAttributes far_window(const FarImages& images) {
  PoolAttributes window;
  window.kernel = {2, 2};
  window.stride = {2, images.width - 2};
  window.pad = {0, 0};
  return window;
}

// Cases with small results.
inline void add_far_reads(std::vector<FarCase>* cases, const FarImages& images) {
  const int64_t last = images.items - 1, second = images.items > 1 ? 1 : 0, end = images.width - 1;
  const TensorDesc x = tensor({images.items, 1, images.rows, images.width});
  const std::vector<FarElement> given = {
      {0, {last, 0, 1, end}, 5}, {0, {last, 0, 0, end - 1}, 3}, {0, {second, 0, 1, 1}, 2}};

  const TensorDesc cut = tensor({images.items, 1, images.rows, 4});
  cases->push_back(
      {op_case("far", OpKind::kSlice, SliceAttributes{3, images.width - 4, images.width, images.width}, {x}, {cut}),
       given,
       {{0, {last, 0, 1, 3}, 5}, {0, {last, 0, 0, 2}, 3}, {0, {second, 0, 1, 1}, 0}}});

  const PoolAttributes window = far_window(images);
  const TensorDesc pooled = tensor({images.items, 1, 1, 2}),
                   winner = tensor(pooled.shape, MemoryFormat::kRowMajor, DType::kU8);
  cases->push_back({op_case("far", OpKind::kMaxPool, window, {x}, {pooled, winner}),
                    given,
                    {{0, {last, 0, 0, 1}, 5}, {0, {second, 0, 0, 0}, 2}}});
  cases->push_back({op_case("far", OpKind::kSumPool, window, {x}, {pooled}),
                    given,
                    {{0, {last, 0, 0, 1}, 8}, {0, {second, 0, 0, 0}, 2}}});

  ConvolutionAttributes convolution;
  convolution.stride = window.stride;
  convolution.pad = {0, 0};
  convolution.dilation = {1, 1};
  const TensorDesc w = tensor({2, 1, 2, 2}), y = tensor({images.items, 2, 1, 2});
  std::vector<FarElement> with_weights = given, with_gradients = given;
  with_weights.insert(with_weights.end(), {{1, {1, 0, 1, 1}, 7}, {1, {1, 0, 0, 0}, 11}, {1, {0, 0, 1, 1}, 1}});
  cases->push_back({op_case("far", OpKind::kConvolution, convolution, {x, w}, {y}),
                    with_weights,
                    {{0, {last, 1, 0, 1}, 68}, {0, {last, 0, 0, 1}, 5}, {0, {second, 1, 0, 0}, 14}}});
  with_gradients.insert(with_gradients.end(), {{1, {last, 1, 0, 1}, 7}, {1, {second, 0, 0, 0}, 11}});
  cases->push_back({op_case("far", OpKind::kConvolutionWeightGradient, convolution, {x, y}, {w}),
                    with_gradients,
                    {{0, {1, 0, 1, 1}, 35}, {0, {1, 0, 0, 0}, 21}, {0, {0, 0, 1, 1}, 22}, {0, {0, 0, 0, 0}, 0}}});
}

inline std::vector<FarCase> far_reads() {
  std::vector<FarCase> cases;
  add_far_reads(&cases, kFarItems);
  add_far_reads(&cases, kFarRows);
  return cases;
}

inline FarCase far_map(std::string name, const Shape& domain, std::vector<MapNode> nodes, MapOutput output,
                       std::vector<TensorDesc> inputs, const TensorDesc& result, std::vector<FarElement> given,
                       std::vector<FarElement> expected) {
  MapBody body{domain, std::move(nodes), {std::move(output)}, {}, {}};
  return {op_case(std::move(name), OpKind::kMap, std::move(body), std::move(inputs), {result}), std::move(given),
          std::move(expected)};
}

// A sum over more than 2^31 bytes.
inline FarCase far_sum() {
  const Shape domain{3, 200'000'000};
  return far_map("far sum", domain, {{Fn::kInput, 0}}, {0, Reduction::kSum, {1}}, {tensor(domain)}, tensor({3, 1}),
                 {{0, {2, domain[1] - 1}, 5}, {0, {2, 7}, 1}, {0, {1, domain[1] - 1}, 2}},
                 {{0, {2, 0}, 6}, {0, {1, 0}, 2}, {0, {0, 0}, 0}});
}

// Cases that also write large results. They need tens of gigabytes, so they are for GPUs.
inline std::vector<FarCase> far_writes() {
  std::vector<FarCase> cases;
  const auto [items, rows, width] = kFarItems;
  const int64_t last = items - 1, end = width - 1;
  const Shape image{items, 1, rows, width};
  const TensorDesc x = tensor(image);
  const Shape channels{2, 3, 1, width};
  cases.push_back({op_case("far", OpKind::kReorder, NoAttributes{}, {tensor(channels)},
                           {tensor(channels, MemoryFormat::kChannelsLast)}),
                   {{0, {1, 2, 0, end}, 5}, {0, {1, 0, 0, 1}, 3}},
                   {{0, {1, 2, 0, end}, 5}, {0, {1, 0, 0, 1}, 3}, {0, {0, 2, 0, end}, 0}}});
  cases.push_back(
      {op_case("far", OpKind::kPermute, PermuteAttributes{{2, 0, 1, 3}}, {x}, {tensor({rows, items, 1, width})}),
       {{0, {last, 0, 1, end}, 5}},
       {{0, {1, last, 0, end}, 5}, {0, {0, last, 0, end}, 0}}});
  const TensorDesc part = tensor({1, 1, rows, width});
  cases.push_back({op_case("far", OpKind::kConcat, ConcatAttributes{0}, {part, part, part}, {x}),
                   {{2, {0, 0, 1, end}, 5}, {1, {0, 0, 0, 0}, 3}},
                   {{0, {last, 0, 1, end}, 5}, {0, {1, 0, 0, 0}, 3}, {0, {last, 0, 0, 0}, 0}}});
  cases.push_back({op_case("far", OpKind::kPad, SliceAttributes{0, 1, 2, items}, {part}, {x}),
                   {{0, {0, 0, 1, end}, 5}},
                   {{0, {1, 0, 1, end}, 5}, {0, {last, 0, 1, end}, 0}}});
  cases.push_back(far_map("far values", image, {{Fn::kInput, 0}, {Fn::kInput, 1}, {Fn::kAdd, 0, 1}},
                          {2, Reduction::kNone, {}}, {x, tensor({1, 1, 1, width})}, x,
                          {{0, {last, 0, 1, end}, 5}, {1, {0, 0, 0, end}, 2}},
                          {{0, {last, 0, 1, end}, 7}, {0, {0, 0, 0, end}, 2}, {0, {last, 0, 1, 0}, 0}}));

  const PoolAttributes window = far_window(kFarItems);
  const TensorDesc pooled = tensor({items, 1, 1, 2}),
                   winner = tensor(pooled.shape, MemoryFormat::kRowMajor, DType::kU8);
  cases.push_back({op_case("far", OpKind::kMaxPoolGradient, window, {pooled, winner}, {x}),
                   {{0, {last, 0, 0, 1}, 5}, {1, {last, 0, 0, 1}, 3}},
                   {{0, {last, 0, 1, end}, 5}, {0, {last, 0, 0, end - 1}, 0}}});
  cases.push_back({op_case("far", OpKind::kSumPoolGradient, window, {pooled}, {x}),
                   {{0, {last, 0, 0, 1}, 5}},
                   {{0, {last, 0, 1, end}, 5}, {0, {last, 0, 0, end - 1}, 5}, {0, {last, 0, 1, 1}, 0}}});

  LrnAttributes lrn;
  lrn.size = 3;
  lrn.alpha = 3;
  lrn.beta = 1;
  lrn.k = 1;
  const TensorDesc normalized = tensor({2, 4, 1, 260'000'000});
  const std::vector<int64_t> place = {1, 3, 0, normalized.shape[3] - 1};
  cases.push_back({op_case("far", OpKind::kLrn, lrn, {normalized}, {normalized}),
                   {{0, place, 3}},
                   {{0, place, 0.3f}, {0, {1, 2, 0, place[3]}, 0}}});
  cases.push_back({op_case("far", OpKind::kLrnGradient, lrn, {normalized, normalized}, {normalized}),
                   {{0, place, 3}, {1, place, 1}},
                   {{0, place, -0.08f}, {0, {1, 2, 0, place[3]}, 0}}});

  MatmulAttributes product;
  const TensorDesc wide = tensor({2'100, 1'000'000}), columns = tensor({1'000'000, 8}), few = tensor({2'100, 8});
  cases.push_back({op_case("far operand", OpKind::kMatmul, product, {wide, columns}, {few}),
                   {{0, {2'099, 999'999}, 5}, {1, {999'999, 3}, 2}},
                   {{0, {2'099, 3}, 10}, {0, {2'098, 3}, 0}}});
  const TensorDesc tall = tensor({4, 23'000, 8}), flat = tensor({4, 8, 22'000}), large = tensor({4, 23'000, 22'000});
  cases.push_back({op_case("far results", OpKind::kMatmul, product, {tall, flat}, {large}),
                   {{0, {3, 22'999, 7}, 5}, {1, {3, 7, 21'999}, 2}},
                   {{0, {3, 22'999, 21'999}, 10}, {0, {3, 22'999, 21'998}, 0}}});

  ConvolutionAttributes convolution;
  convolution.stride = convolution.pad = convolution.dilation = {1, 1};
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    const TensorDesc images = tensor({64, 8, 2'000, 2'000}, MemoryFormat::kChannelsLast, dtype),
                     filters = tensor({8, 8, 3, 3});
    const std::vector<int64_t> far_x = {63, 5, 1'999, 1'998}, far_y = {63, 7, 1'998, 1'999}, tap = {7, 5, 2, 0};
    cases.push_back({op_case("far", OpKind::kConvolution, convolution, {images, filters}, {images}),
                     {{0, far_x, 2}, {1, tap, 3}},
                     {{0, far_y, 6}, {0, {62, 7, 1'998, 1'999}, 0}}});
    cases.push_back({op_case("far", OpKind::kConvolutionInputGradient, convolution, {images, filters}, {images}),
                     {{0, far_y, 2}, {1, tap, 3}},
                     {{0, far_x, 6}, {0, {62, 5, 1'999, 1'998}, 0}}});
    cases.push_back({op_case("far", OpKind::kConvolutionWeightGradient, convolution, {images, images}, {filters}),
                     {{0, far_x, 2}, {1, far_y, 3}},
                     {{0, tap, 6}, {0, {7, 5, 0, 0}, 0}}});
  }
  return cases;
}

}  // namespace trainer::cpu
