// Tests the gradient of every differentiable op with central differences of the compiled forward program.
#include "compile/differentiate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compile/evaluate.h"

namespace trainer {
namespace {

struct Case {
  const char* name;
  std::vector<Shape> shapes;
  std::function<Value(Graph&, const std::vector<Value>&)> build;
  float low = -1, high = 1;
};

// sum(f * fixed weights), so that each element of f has a different weight.
Value weighted_sum(Value f, Value weights) {
  const Value product = f * weights;
  return reshape(sum(product, all_axes(product.shape())), Shape{});
}

class Differentiate : public testing::TestWithParam<Case> {};

TEST_P(Differentiate, AgreesWithCentralDifferences) {
  const Case& c = GetParam();
  Bench bench;
  Shape result;
  {
    Graph probe;
    std::vector<Value> sources;
    for (const Shape& shape : c.shapes) sources.push_back(probe.add_source("s", shape));
    result = c.build(probe, sources).shape();
  }
  std::vector<Shape> shapes = c.shapes;
  shapes.push_back(result);
  Evaluation forward(bench, shapes, [&](Graph& graph, const std::vector<Value>& s) {
    return std::vector<Value>{weighted_sum(c.build(graph, s), s.back())};
  });
  Evaluation backward(bench, shapes, [&](Graph& graph, const std::vector<Value>& s) {
    const Value loss = weighted_sum(c.build(graph, s), s.back());
    std::vector<Value> wanted(s.begin(), s.end() - 1);
    return differentiate(graph, loss, wanted);
  });

  std::vector<std::vector<float>> x;
  for (size_t i = 0; i < shapes.size(); ++i)
    x.push_back(random_values(shapes[i], 17 + i, i + 1 == shapes.size() ? -1 : c.low, c.high));
  const auto gradients = backward(x);
  for (size_t operand = 0; operand + 1 < shapes.size(); ++operand) {
    const size_t stride = std::max<size_t>(1, x[operand].size() / 12);
    for (size_t element = 0; element < x[operand].size(); element += stride) {
      const float step = 1e-2f, kept = x[operand][element];
      x[operand][element] = kept + step;
      const double above = forward(x)[0][0];
      x[operand][element] = kept - step;
      const double below = forward(x)[0][0];
      x[operand][element] = kept;
      const double expected = (above - below) / (2 * step);
      EXPECT_NEAR(gradients[operand][element], expected, 2e-2 * std::max(1.0, std::abs(expected)))
          << "operand " << operand << " element " << element;
    }
  }
}

ConvolutionAttributes convolution_2d(int64_t group, int64_t stride, int64_t pad, int64_t dilation) {
  return {group, {stride, stride}, {pad, pad}, {dilation, dilation}, {}};
}

const Shape kActivation{2, 6, 7, 5};
using V = const std::vector<Value>&;

INSTANTIATE_TEST_SUITE_P(
    Ops, Differentiate,
    testing::Values(
        Case{"Add", {kActivation, Shape{1, 6, 1, 1}}, [](Graph&, V s) { return s[0] + s[1]; }},
        Case{"Subtract", {Shape{3, 4}, Shape{3, 1}}, [](Graph&, V s) { return s[0] - s[1]; }},
        Case{"Multiply", {kActivation, Shape{1, 6, 1, 1}}, [](Graph&, V s) { return s[0] * s[1]; }},
        Case{"MultiplyScalar", {Shape{3, 4}, Shape{}}, [](Graph&, V s) { return s[0] * s[1]; }},
        Case{"Square", {Shape{3, 4}}, [](Graph&, V s) { return s[0] * s[0]; }},
        Case{"Divide", {Shape{3, 4}, Shape{1, 4}}, [](Graph&, V s) { return s[0] / s[1]; }, 0.5f, 2.0f},
        Case{"Exponential", {Shape{3, 4}}, [](Graph&, V s) { return exp(s[0]); }},
        Case{"Logarithm", {Shape{3, 4}}, [](Graph&, V s) { return log(s[0]); }, 0.5f, 2.0f},
        Case{"SquareRoot", {Shape{3, 4}}, [](Graph&, V s) { return sqrt(s[0]); }, 0.5f, 2.0f},
        Case{"Tanh", {Shape{3, 4}}, [](Graph&, V s) { return tanh(s[0]); }},
        Case{"Sigmoid", {Shape{3, 4}}, [](Graph&, V s) { return sigmoid(s[0]); }},
        Case{"Softplus", {Shape{3, 4}}, [](Graph&, V s) { return softplus(s[0]); }},
        Case{"PowerConstant", {Shape{3, 4}}, [](Graph&, V s) { return power(s[0], -0.75f); }, 0.5f, 2.0f},
        Case{"Power", {Shape{3, 4}, Shape{3, 4}}, [](Graph&, V s) { return power(s[0], s[1]); }, 0.5f, 2.0f},
        Case{"ReluLeaky", {Shape{30, 4}}, [](Graph&, V s) { return relu(s[0] + 0.03f, 0.25f); }},
        Case{"ReluNegativeSlope", {Shape{30, 4}}, [](Graph&, V s) { return relu(s[0] + 0.03f, -0.5f); }},
        Case{"Maximum", {Shape{3, 4}, Shape{3, 4}}, [](Graph&, V s) { return maximum(s[0], s[1]); }},
        Case{"Minimum", {Shape{3, 4}, Shape{1, 4}}, [](Graph&, V s) { return minimum(s[0], s[1]); }},
        Case{"Select", {Shape{3, 4}, Shape{3, 4}}, [](Graph&, V s) { return select(greater(s[0], 0.1f), s[0] * s[1], s[1]); }},
        Case{"SumAxes", {kActivation}, [](Graph&, V s) { return sum(s[0] * s[0], {0, 2, 3}); }},
        Case{"MaxAxis", {Shape{4, 9}}, [](Graph&, V s) { return max(s[0], {1}); }},
        Case{"Softmax", {Shape{4, 9}}, [](Graph&, V s) {
               const Value e = exp(s[0] - max(s[0], {1}));
               return e / sum(e, {1});
             }},
        Case{"BatchNorm", {kActivation}, [](Graph&, V s) {
               const std::vector<int> axes{0, 2, 3};
               const Value centred = s[0] - sum(s[0], axes) / 70.0f;
               return centred / sqrt(sum(centred * centred, axes) / 70.0f + 1e-3f);
             }},
        Case{"Reshape", {Shape{2, 6, 4}}, [](Graph&, V s) { return reshape(s[0] * s[0], Shape{12, 4}); }},
        Case{"Permute", {Shape{2, 3, 4}}, [](Graph&, V s) { return permute(s[0] * s[0], {2, 0, 1}); }},
        Case{"Slice", {kActivation}, [](Graph&, V s) { return slice(s[0] * s[0], 1, 2, 5); }},
        // Of five parts, the second and the fourth are read.
        Case{"SliceInParts", {kActivation}, [](Graph&, V s) {
               const std::vector<Value> parts = slices(s[0] * s[0], 1, 0, {1, 2, 4, 5, 6});
               return parts[1] * parts[3];
             }},
        // The gradient has extent 1 along the axes of the sum.
        Case{"SliceInPartsSummed", {kActivation}, [](Graph&, V s) {
               const std::vector<Value> parts = slices(s[0] * s[0], 1, 1, {3, 5});
               return sum(parts[0], {0, 2, 3}) * sum(parts[1], {0, 2, 3});
             }},
        Case{"ConcatWithConstant", {kActivation, Shape{2, 3, 7, 5}}, [](Graph& graph, V s) {
               return concat({s[0] * s[0], s[1], index_along(graph, Shape{2, 1, 7, 5}, 2), s[1], s[0]}, 1);
             }},
        Case{"Concat", {kActivation, Shape{2, 3, 7, 5}}, [](Graph&, V s) { return concat({s[0] * s[0], s[1], s[0]}, 1); }},
        Case{"Matmul", {Shape{3, 5}, Shape{5, 4}, Shape{4}}, [](Graph&, V s) { return matmul(s[0], s[1], s[2], false, false); }},
        Case{"MatmulTransposedA", {Shape{5, 3}, Shape{5, 4}}, [](Graph&, V s) { return matmul(s[0], s[1], Value(), true, false); }},
        Case{"MatmulTransposedB", {Shape{3, 5}, Shape{4, 5}}, [](Graph&, V s) { return matmul(s[0], s[1], Value(), false, true); }},
        Case{"MatmulTransposedBoth", {Shape{5, 3}, Shape{4, 5}}, [](Graph&, V s) { return matmul(s[0], s[1], Value(), true, true); }},
        Case{"Convolution", {kActivation, Shape{4, 6, 3, 3}, Shape{4}}, [](Graph&, V s) {
               return convolution(s[0], s[1], s[2], convolution_2d(1, 1, 1, 1));
             }},
        Case{"ConvolutionStridedGroups", {kActivation, Shape{4, 3, 3, 3}, Shape{4}}, [](Graph&, V s) {
               return convolution(s[0], s[1], s[2], convolution_2d(2, 2, 1, 1));
             }},
        // Far from the kink, so that the difference does not cross it.
        Case{"ConvolutionRelu", {kActivation, Shape{4, 6, 3, 3}, Shape{4}}, [](Graph&, V s) {
               return relu(convolution(s[0], s[1], s[2] + 60.0f, convolution_2d(1, 1, 1, 1)), 0.1f);
             }},
        Case{"ConvolutionDilated", {kActivation, Shape{4, 6, 2, 2}}, [](Graph&, V s) {
               return convolution(s[0], s[1], Value(), convolution_2d(1, 1, 2, 2));
             }},
        Case{"Deconvolution", {Shape{2, 4, 3, 2}, Shape{4, 3, 4, 4}, Shape{3}}, [](Graph&, V s) {
               return convolution_input_gradient(s[0], s[1], s[2], Shape{2, 3, 6, 4}, convolution_2d(1, 2, 1, 1));
             }},
        Case{"MaxPool", {kActivation}, [](Graph&, V s) {
               return max_pool(s[0], {{3, 2}, {2, 2}, {1, 0}}, {4, 3}).y;
             }},
        Case{"SumPool", {kActivation}, [](Graph&, V s) { return sum_pool(s[0], {{3, 3}, {2, 2}, {1, 1}}, {4, 3}); }},
        Case{"Lrn", {Shape{2, 9, 4, 3}}, [](Graph&, V s) { return lrn(s[0], {5, 0.7f, 0.75f, 1.5f}); }},
        Case{"UsedTwice", {kActivation}, [](Graph&, V s) {
               const Value y = relu(s[0] + 0.05f, 0.3f);
               return y * s[0] + sigmoid(y);
             }}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

TEST(DifferentiateRules, CustomGradientReplacesTheDerivative) {
  Bench bench;
  Evaluation backward(bench, {Shape{4}}, [&](Graph& graph, const std::vector<Value>& s) {
    const Value y = with_gradient(s[0] * s[0], {s[0]}, [](Value g) { return std::vector<Value>{g * 7.0f}; });
    return differentiate(graph, reshape(sum(y, {0}), Shape{}), {s[0]});
  });
  EXPECT_EQ(backward({{1, 2, 3, 4}})[0], (std::vector<float>{7, 7, 7, 7}));
}

TEST(DifferentiateRules, StoppedValuesPassNone) {
  Graph graph;
  const Value x = graph.add_source("x", Shape{4});
  const Value loss = reshape(sum(stop_gradient(x) * 2.0f, {0}), Shape{});
  EXPECT_FALSE(differentiate(graph, loss, {x})[0]);
}

}  // namespace
}  // namespace trainer
