// The reference kernels against independent numbers: small cases by hand, and integers from a script that scatters
// every product instead of gathering.
#include <gtest/gtest.h>

#include "device/op_case.h"
#include "ops/opaque.h"

namespace trainer::cpu {
namespace {

using Floats = std::vector<float>;

// factor * i mod modulus - shift for i = 0, 1, ...
Floats pattern(int count, int factor, int modulus, int shift) {
  Floats values;
  for (int i = 0; i < count; ++i) values.push_back(static_cast<float>(factor * i % modulus - shift));
  return values;
}

void expect_near(const Floats& got, const Floats& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-6) << "element " << i;
}

ConvolutionAttributes convolution(std::vector<int64_t> stride, std::vector<int64_t> pad, std::vector<int64_t> dilation,
                                  int64_t group = 1) {
  ConvolutionAttributes a;
  a.group = group;
  a.stride = std::move(stride);
  a.pad = std::move(pad);
  a.dilation = std::move(dilation);
  return a;
}

TEST(Reference, ConvolutionByHand) {
  const ConvolutionAttributes a = convolution({1, 1}, {0, 0}, {1, 1});
  const TensorDesc x = tensor({1, 1, 3, 3}), w = tensor({1, 1, 2, 2}), y = tensor({1, 1, 2, 2}), bias = tensor({1});
  const Floats image{1, 2, 3, 4, 5, 6, 7, 8, 9}, filter{1, 2, 3, 4}, ones{1, 1, 1, 1};
  EXPECT_EQ(run_reference(op_case("", OpKind::kConvolution, a, {x, w}, {y}), {image, filter}),
            (Floats{37, 47, 67, 77}));
  EXPECT_EQ(run_reference(op_case("", OpKind::kConvolution, a, {x, w, bias}, {y}), {image, filter, {0.5f}}),
            (Floats{37.5f, 47.5f, 67.5f, 77.5f}));
  EXPECT_EQ(run_reference(op_case("", OpKind::kConvolutionInputGradient, a, {y, w}, {x}), {ones, filter}),
            (Floats{1, 3, 2, 4, 10, 6, 3, 7, 4}));
  EXPECT_EQ(run_reference(op_case("", OpKind::kConvolutionWeightGradient, a, {x, y}, {w}), {image, ones}),
            (Floats{12, 16, 24, 28}));
  ConvolutionAttributes leaky = a;
  leaky.epilogue = {true, 0.5f};
  EXPECT_EQ(run_reference(op_case("", OpKind::kConvolution, leaky, {x, w, bias}, {y}), {image, filter, {-50}}),
            (Floats{-6.5f, -1.5f, 17, 27}));
}

// Two groups, strides 2 and 1, padding 1 and 0, dilation 1 and 2.
TEST(Reference, ConvolutionWithGroupsStridesAndDilation) {
  const ConvolutionAttributes a = convolution({2, 1}, {1, 0}, {1, 2}, 2);
  const TensorDesc x = tensor({1, 4, 5, 4}), w = tensor({4, 2, 3, 2}), y = tensor({1, 4, 3, 2});
  const Floats image = pattern(80, 5, 11, 5), filter = pattern(48, 3, 7, 3), gradient = pattern(24, 7, 9, 4);
  EXPECT_EQ(run_reference(op_case("", OpKind::kConvolution, a, {x, w}, {y}), {image, filter}),
            (Floats{-30, 0, -7, 9, -8, -19, 47, -8, -11, 50, 12, -40, 30, 0, -4, 25, 8, -37, 9, 8, 39, -6, -5, -23}));
  EXPECT_EQ(run_reference(op_case("", OpKind::kConvolutionInputGradient, a, {y, w}, {x}), {gradient, filter}),
            (Floats{-18, 9, 4,   -3, -1, 17,  4,  -10, 9,  9,  -1, 1,  -1,  -28, 3,   7,   -18, 9, 3,   -4,
                    2,   0, -18, 9,  1,  -12, -1, 17,  -2, -4, 9,  9,  2,   7,   -1,  -28, 3,   1, -18, 9,
                    6,   3, -9,  3,  7,  1,   7,  4,   -9, -3, 6,  0,  -14, -2,  -8,  7,   3,   0, -6,  6,
                    -14, 3, 6,   3,  0,  12,  7,  1,   11, 1,  -9, -3, 15,  -18, -14, -2,  -9,  8, 3,   0}));
  EXPECT_EQ(run_reference(op_case("", OpKind::kConvolutionWeightGradient, a, {x, y}, {w}), {image, gradient}),
            (Floats{26,  25, 44, 0, -27, -26, -17, 26,  44,  44,  -17, -27, 5, 7,  -1, 21,
                    -12, -8, -8, 5, -1,  -1,  28,  -12, -12, 28,  -1,  -1,  5, -8, -8, -12,
                    21,  -1, 7,  5, -27, -17, 44,  44,  26,  -17, -26, -27, 0, 44, 25, 26}));
}

TEST(Reference, ConvolutionReadsChannelsLast) {
  // Two channels of a 1 x 2 image, interleaved; a 1x1 filter selects channel 1.
  const ConvolutionAttributes a = convolution({1, 1}, {0, 0}, {1, 1});
  const OpCase c =
      op_case("", OpKind::kConvolution, a, {tensor({1, 2, 1, 2}, MemoryFormat::kChannelsLast), tensor({2, 2, 1, 1})},
              {tensor({1, 2, 1, 2}, MemoryFormat::kChannelsLast)});
  EXPECT_EQ(run_reference(c, {{1, 10, 2, 20}, {0, 1, 2, 0}}), (Floats{10, 2, 20, 4}));
}

TEST(Reference, MatmulInEveryStorage) {
  const Floats a{1, 2, 3, 4, 5, 6}, a_stored{1, 4, 2, 5, 3, 6};        // [2,3] and its transpose
  const Floats b{7, 8, 9, 10, 11, 12}, b_stored{7, 9, 11, 8, 10, 12};  // [3,2]
  for (int form = 0; form < 4; ++form) {
    MatmulAttributes attributes;
    attributes.transpose_a = form % 2 == 1;
    attributes.transpose_b = form / 2 == 1;
    const OpCase c = op_case("", OpKind::kMatmul, attributes,
                             {tensor(attributes.transpose_a ? Shape{3, 2} : Shape{2, 3}),
                              tensor(attributes.transpose_b ? Shape{2, 3} : Shape{3, 2}), tensor({2})},
                             {tensor({2, 2})});
    EXPECT_EQ(run_reference(c, {attributes.transpose_a ? a_stored : a, attributes.transpose_b ? b_stored : b, {0, 1}}),
              (Floats{58, 65, 139, 155}));
  }
}

TEST(Reference, MatmulOfABatch) {
  const OpCase c =
      op_case("", OpKind::kMatmul, MatmulAttributes{}, {tensor({2, 1, 2}), tensor({2, 2, 2})}, {tensor({2, 1, 2})});
  EXPECT_EQ(run_reference(c, {{1, 2, 3, 4}, {1, 2, 3, 4, 5, 6, 7, 8}}), (Floats{7, 10, 43, 50}));
}

TEST(Reference, PoolsWithPaddingAndOverhang) {
  PoolAttributes a;
  a.kernel = {3, 3};
  a.stride = {2, 2};
  a.pad = {1, 1};
  const TensorDesc x = tensor({1, 2, 4, 5}), y = tensor({1, 2, 3, 3}),
                   winner = tensor(y.shape, MemoryFormat::kRowMajor, DType::kS32);
  const Floats image = pattern(40, 5, 13, 6);
  const OpCase max = op_case("", OpKind::kMaxPool, a, {x}, {y, winner});
  EXPECT_EQ(run_reference(max, {image}), (Floats{6, 4, 1, 6, 6, 6, 4, 6, 6, 3, 5, 5, 6, 6, 4, 5, 5, 2}));
  const Floats offsets = run_reference(max, {image}, 1);
  std::vector<int32_t> winners(offsets.size());
  std::memcpy(winners.data(), offsets.data(), offsets.size() * sizeof(float));
  EXPECT_EQ(winners, (std::vector<int32_t>{7, 4, 4, 1, 8, 6, 1, 2, 0, 4, 5, 3, 5, 3, 0, 2, 0, 0}));
  EXPECT_EQ(run_reference(op_case("", OpKind::kSumPool, a, {x}, {y}), {image}),
            (Floats{-3, -5, -8, 6, -8, -8, 0, 3, 4, -6, -3, 2, 8, 8, -6, 5, 4, -4}));
}

TEST(Reference, PoolGradientsByHand) {
  PoolAttributes a;
  a.kernel = {2};
  a.stride = {1};
  a.pad = {0};
  const TensorDesc x = tensor({1, 1, 4}), y = tensor({1, 1, 3});
  // Windows of 1 5 2 2: the maximum 5 is second in the first window and first in the next; in 2 2 the first wins.
  const OpCase max = op_case("", OpKind::kMaxPool, a, {x}, {y, tensor(y.shape, MemoryFormat::kRowMajor, DType::kS32)});
  const Floats winners = run_reference(max, {{1, 5, 2, 2}}, 1);
  const OpCase gradient = op_case("", OpKind::kMaxPoolGradient, a, max.instance.outputs, {x});
  EXPECT_EQ(run_reference(gradient, {{10, 20, 40}, winners}), (Floats{0, 30, 40, 0}));
  EXPECT_EQ(run_reference(op_case("", OpKind::kSumPoolGradient, a, {y}, {x}), {{10, 20, 40}}),
            (Floats{10, 30, 60, 40}));
}

// Values and central differences computed with 50 digits.
TEST(Reference, LrnAndItsGradient) {
  LrnAttributes a;
  a.size = 5;
  a.alpha = 2;
  a.beta = 0.75f;
  a.k = 1;
  const TensorDesc x = tensor({1, 6});
  const Floats values{0.5f, -1.0f, 2.0f, 1.5f, -0.25f, 3.0f}, gradient{1.0f, -2.0f, 0.5f, 0.25f, 3.0f, -1.0f};
  expect_near(run_reference(op_case("", OpKind::kLrn, a, {x}, {x}), {values}),
              {0.214017228f, -0.353553391f, 0.703810241f, 0.33015006f, -0.0573259628f, 0.832476616f});
  expect_near(run_reference(op_case("", OpKind::kLrnGradient, a, {x, x}, {x}), {values, gradient}),
              {0.328061149f, -0.500579104f, -0.208138097f, -0.0353018983f, 0.676449533f, 0.0174257483f});
}

TEST(Reference, MovesElements) {
  const Floats values{0, 1, 2, 3, 4, 5};
  const TensorDesc x = tensor({1, 2, 1, 3});
  const TensorDesc last = tensor(x.shape, MemoryFormat::kChannelsLast);
  EXPECT_EQ(run_reference(op_case("", OpKind::kReorder, NoAttributes{}, {x}, {last}), {values}),
            (Floats{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(run_reference(op_case("", OpKind::kReorder, NoAttributes{}, {last}, {x}), {values}),
            (Floats{0, 2, 4, 1, 3, 5}));
  EXPECT_EQ(run_reference(op_case("", OpKind::kReshape, NoAttributes{}, {last}, {tensor({1, 6})}), {values}),
            (Floats{0, 2, 4, 1, 3, 5}));
  EXPECT_EQ(run_reference(op_case("", OpKind::kPermute, PermuteAttributes{{3, 0, 1, 2}}, {x}, {tensor({3, 1, 2, 1})}),
                          {values}),
            (Floats{0, 3, 1, 4, 2, 5}));
  EXPECT_EQ(
      run_reference(op_case("", OpKind::kSlice, SliceAttributes{3, 1, 3, 3}, {x}, {tensor({1, 2, 1, 2})}), {values}),
      (Floats{1, 2, 4, 5}));
  const OpCase parts =
      op_case("", OpKind::kSlice, SliceAttributes{3, 1, 3, 3}, {x}, {tensor({1, 2, 1, 1}), tensor({1, 2, 1, 1})});
  EXPECT_EQ(run_reference(parts, {values}, 0), (Floats{1, 4}));
  EXPECT_EQ(run_reference(parts, {values}, 1), (Floats{2, 5}));
  EXPECT_EQ(
      run_reference(op_case("", OpKind::kPad, SliceAttributes{1, 1, 3, 4}, {x}, {tensor({1, 4, 1, 3})}), {values}),
      (Floats{0, 0, 0, 0, 1, 2, 3, 4, 5, 0, 0, 0}));
  EXPECT_EQ(run_reference(
                op_case("", OpKind::kConcat, ConcatAttributes{3}, {x, tensor({1, 2, 1, 1})}, {tensor({1, 2, 1, 4})}),
                {values, {8, 9}}),
            (Floats{0, 1, 2, 8, 3, 4, 5, 9}));
}

class Doubling : public OpaqueOp {
 public:
  std::string name() const override { return "doubling"; }
  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    for (int i = 0; i < 3; ++i) outputs[0][i] = 2 * inputs[0][i];
  }
};

TEST(Reference, RunsOpaqueOps) {
  const OpCase c =
      op_case("", OpKind::kOpaque, OpaqueAttributes{std::make_shared<Doubling>()}, {tensor({3})}, {tensor({3})});
  EXPECT_EQ(run_reference(c, {{1, 2, 3}}), (Floats{2, 4, 6}));
}

}  // namespace
}  // namespace trainer::cpu
