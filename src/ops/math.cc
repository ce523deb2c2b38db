// Arithmetic on values: each function checks shapes and adds one primitive op.
#include "ops/math.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

Shape broadcast(const Shape& a, const Shape& b) {
  if (a.rank() == 0) return b;
  if (b.rank() == 0) return a;
  TRAINER_ASSERT(a.rank() == b.rank());
  Shape out = a;
  for (int axis = 0; axis < a.rank(); ++axis) {
    TRAINER_ASSERT(a[axis] == b[axis] || a[axis] == 1 || b[axis] == 1);
    if (a[axis] == 1) out[axis] = b[axis];
  }
  return out;
}

MapNode input_node(int operand) { return {Fn::kInput, operand}; }

// A map of one function whose arguments are all operands.
Value map_of(Fn fn, const std::vector<Value>& operands, float k) {
  MapBody body;
  std::vector<Value> unique;
  int argument[3] = {-1, -1, -1};
  for (size_t i = 0; i < operands.size(); ++i) {
    body.domain = i == 0 ? operands[0].shape() : broadcast(body.domain, operands[i].shape());
    const auto at = std::find(unique.begin(), unique.end(), operands[i]);
    argument[i] = static_cast<int>(at - unique.begin());
    if (at == unique.end()) {
      body.nodes.push_back(input_node(static_cast<int>(unique.size())));
      unique.push_back(operands[i]);
    }
  }
  body.nodes.push_back({fn, argument[0], argument[1], argument[2], k});
  body.outputs.push_back({static_cast<int>(body.nodes.size()) - 1, Reduction::kNone, {}});
  const Shape domain = body.domain;
  return operands.front().graph()->add_one(OpKind::kMap, std::move(body), unique, domain);
}

Value map_of(Fn fn, Value a, float k = 0) { return map_of(fn, std::vector{a}, k); }
Value map_of(Fn fn, Value a, Value b, float k = 0) { return map_of(fn, std::vector{a, b}, k); }
Value map_of(Fn fn, Value a, Value b, Value c) { return map_of(fn, std::vector{a, b, c}, 0); }

Value leaf(Graph& graph, const Shape& shape, MapNode node, std::vector<uint64_t> keys = {},
           std::vector<SegmentTable> tables = {}) {
  MapBody body;
  body.domain = shape;
  body.nodes = {node};
  body.outputs = {{0, Reduction::kNone, {}}};
  body.keys = std::move(keys);
  body.segments = std::move(tables);
  return graph.add_one(OpKind::kMap, std::move(body), {}, shape);
}

Value scalar(Value like, float k) { return constant(*like.graph(), Shape{}, k); }

Value reduce(Value x, Reduction reduction, std::vector<int> axes) {
  axes.erase(std::remove_if(axes.begin(), axes.end(), [&](int axis) { return x.shape()[axis] == 1; }), axes.end());
  if (axes.empty()) return x;
  MapBody body;
  body.domain = x.shape();
  body.nodes = {input_node(0)};
  body.outputs = {{0, reduction, axes}};
  const Shape shape = body.output_shape(0);
  return x.graph()->add_one(OpKind::kMap, std::move(body), {x}, shape);
}

}  // namespace

#define TRAINER_FUNCTION(name, function, text, arguments, ...) \
  Value function(TRAINER_PARAMETERS_##arguments(Value)) { return map_of(Fn::k##name, TRAINER_ARGUMENTS_##arguments); }
#include "ops/functions.def"

Value operator+(Value a, Value b) { return add(a, b); }
Value operator-(Value a, Value b) { return subtract(a, b); }
Value operator*(Value a, Value b) { return multiply(a, b); }
Value operator/(Value a, Value b) { return divide(a, b); }
Value operator-(Value a) { return negate(a); }
Value operator+(Value a, float b) { return b == 0 ? a : a + scalar(a, b); }
Value operator-(Value a, float b) { return b == 0 ? a : a - scalar(a, b); }
Value operator*(Value a, float b) { return b == 1 ? a : a * scalar(a, b); }
Value operator/(Value a, float b) { return b == 1 ? a : a / scalar(a, b); }
Value operator+(float a, Value b) { return b + a; }
Value operator-(float a, Value b) { return scalar(b, a) - b; }
Value operator*(float a, Value b) { return b * a; }
Value operator/(float a, Value b) { return scalar(b, a) / b; }
Value power(Value x, float exponent) { return exponent == 1 ? x : power_constant(x, exponent); }
Value relu(Value x) { return relu(x, 0.0f); }
Value minimum(Value a, float b) { return minimum(a, scalar(a, b)); }
Value maximum(Value a, float b) { return maximum(a, scalar(a, b)); }
Value greater(Value a, float b) { return greater(a, scalar(a, b)); }
Value greater_equal(Value a, float b) { return greater_equal(a, scalar(a, b)); }
Value equal(Value a, float b) { return equal(a, scalar(a, b)); }

Value constant(Graph& graph, const Shape& shape, float value) {
  return leaf(graph, shape, {Fn::kConstant, -1, -1, -1, value});
}
Value index_along(Graph& graph, const Shape& shape, int axis) { return leaf(graph, shape, {Fn::kIndex, axis}); }
Value random_uniform(Graph& graph, const Shape& shape, uint64_t key) {
  return leaf(graph, shape, {Fn::kUniform, 0}, {key});
}
Value random_normal(Graph& graph, const Shape& shape, uint64_t key) {
  return leaf(graph, shape, {Fn::kNormal, 0}, {key});
}
Value segments(Graph& graph, const SegmentTable& table) {
  return leaf(graph, Shape{table.ends.back()}, {Fn::kSegment, 0}, {}, {table});
}

Value sum(Value x, const std::vector<int>& axes) { return reduce(x, Reduction::kSum, axes); }
Value max(Value x, const std::vector<int>& axes) { return reduce(x, Reduction::kMax, axes); }

std::vector<int> all_axes(const Shape& shape) {
  std::vector<int> axes(static_cast<size_t>(shape.rank()));
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

std::vector<int> axes_but(const Shape& shape, int kept) {
  std::vector<int> axes = all_axes(shape);
  axes.erase(axes.begin() + kept);
  return axes;
}

Value broadcast_to(Value x, const Shape& shape) {
  if (x.shape() == shape) return x;
  return constant(*x.graph(), shape, 0) + x;
}

Value reshape(Value x, const Shape& shape) {
  TRAINER_ASSERT(x.shape().count() == shape.count());
  if (x.shape() == shape) return x;
  return x.graph()->add(OpKind::kReshape, NoAttributes{}, {x}, {TensorDesc{shape, x.dtype()}}).front();
}

Value permute(Value x, const std::vector<int>& axes) {
  Shape shape = x.shape();
  TRAINER_ASSERT(static_cast<int>(axes.size()) == shape.rank());
  for (int i = 0; i < shape.rank(); ++i) shape[i] = x.shape()[axes[static_cast<size_t>(i)]];
  return x.graph()->add_one(OpKind::kPermute, PermuteAttributes{axes}, {x}, shape);
}

Value slice(Value x, int axis, int64_t begin, int64_t end) { return slices(x, axis, begin, {end}).front(); }

std::vector<Value> slices(Value x, int axis, int64_t begin, const std::vector<int64_t>& ends) {
  const int64_t extent = x.shape()[axis];
  TRAINER_ASSERT(0 <= begin && ends.back() <= extent);
  if (ends.size() == 1 && begin == 0 && ends.back() == extent) return {x};
  std::vector<TensorDesc> parts;
  int64_t at = begin;
  for (const int64_t end : ends) {
    TRAINER_ASSERT(at < end);
    Shape shape = x.shape();
    shape[axis] = end - at;
    parts.push_back(TensorDesc{shape});
    at = end;
  }
  return x.graph()->add(OpKind::kSlice, SliceAttributes{axis, begin, ends.back(), extent}, {x}, parts);
}

Value pad(Value x, int axis, int64_t begin, int64_t extent) {
  Shape shape = x.shape();
  const int64_t end = begin + shape[axis];
  TRAINER_ASSERT(0 <= begin && end <= extent);
  if (shape[axis] == extent) return x;
  shape[axis] = extent;
  return x.graph()->add_one(OpKind::kPad, SliceAttributes{axis, begin, end, extent}, {x}, shape);
}

Value concat(const std::vector<Value>& parts, int axis) {
  if (parts.size() == 1) return parts.front();
  Shape shape = parts.front().shape();
  shape[axis] = 0;
  for (const Value& part : parts) shape[axis] += part.shape()[axis];
  return parts.front().graph()->add_one(OpKind::kConcat, ConcatAttributes{axis}, parts, shape);
}

Value copy_of(Value x) {
  return x.graph()->add(OpKind::kReshape, NoAttributes{}, {x}, {TensorDesc{x.shape(), x.dtype()}}).front();
}

Value stop_gradient(Value x) {
  const Value copy = copy_of(x);
  x.graph()->values[static_cast<size_t>(copy.id())].stop_gradient = true;
  return copy;
}

int64_t convolved_extent(int64_t input, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation) {
  const int64_t room = input + 2 * pad - (dilation * (kernel - 1) + 1);
  return room < 0 ? 0 : room / stride + 1;
}

namespace {

std::vector<Value> with_bias(std::vector<Value> operands, Value bias) {
  if (bias) operands.push_back(bias);
  return operands;
}

}  // namespace

Value convolution(Value x, Value weights, Value bias, const ConvolutionAttributes& attributes) {
  Shape shape = x.shape();
  shape[1] = weights.shape()[0];
  for (int axis = 2; axis < shape.rank(); ++axis) {
    const size_t i = static_cast<size_t>(axis - 2);
    shape[axis] = convolved_extent(x.shape()[axis], weights.shape()[axis], attributes.stride[i], attributes.pad[i],
                                   attributes.dilation[i]);
  }
  return x.graph()->add_one(OpKind::kConvolution, attributes, with_bias({x, weights}, bias), shape);
}

Value convolution_input_gradient(Value gradient, Value weights, Value bias, const Shape& input,
                                 const ConvolutionAttributes& attributes) {
  return gradient.graph()->add_one(OpKind::kConvolutionInputGradient, attributes, with_bias({gradient, weights}, bias),
                                   input);
}

Value convolution_weight_gradient(Value x, Value gradient, const Shape& weights,
                                  const ConvolutionAttributes& attributes) {
  return x.graph()->add_one(OpKind::kConvolutionWeightGradient, attributes, {x, gradient}, weights);
}

Value matmul(Value a, Value b, Value bias, bool transpose_a, bool transpose_b) {
  const int rank = a.shape().rank(), row = rank - 2, column = rank - 1;
  TRAINER_ASSERT((rank == 2 || (rank == 3 && !bias && a.shape()[0] == b.shape()[0])) && b.shape().rank() == rank);
  TRAINER_ASSERT(a.shape()[transpose_a ? row : column] == b.shape()[transpose_b ? column : row]);
  Shape shape = a.shape();
  shape[row] = a.shape()[transpose_a ? column : row];
  shape[column] = b.shape()[transpose_b ? row : column];
  return a.graph()->add_one(OpKind::kMatmul, MatmulAttributes{transpose_a, transpose_b, {}}, with_bias({a, b}, bias),
                            shape);
}

MaxPoolResult max_pool(Value x, const PoolAttributes& attributes, const std::vector<int64_t>& output_size) {
  Shape shape = x.shape();
  int64_t window = 1;
  for (size_t i = 0; i < output_size.size(); ++i) {
    shape[static_cast<int>(i) + 2] = output_size[i];
    window *= attributes.kernel[i];
  }
  const TensorDesc winner{shape, window < kNoWinnerU8 ? DType::kU8 : DType::kS32};
  const std::vector<Value> results = x.graph()->add(OpKind::kMaxPool, attributes, {x}, {TensorDesc{shape}, winner});
  return {results[0], results[1]};
}

Value max_pool_gradient(Value gradient, Value winner, const Shape& input, const PoolAttributes& attributes) {
  return gradient.graph()->add_one(OpKind::kMaxPoolGradient, attributes, {gradient, winner}, input);
}

Value sum_pool(Value x, const PoolAttributes& attributes, const std::vector<int64_t>& output_size) {
  Shape shape = x.shape();
  for (size_t i = 0; i < output_size.size(); ++i) shape[static_cast<int>(i) + 2] = output_size[i];
  return x.graph()->add_one(OpKind::kSumPool, attributes, {x}, shape);
}

Value sum_pool_gradient(Value gradient, const Shape& input, const PoolAttributes& attributes) {
  return gradient.graph()->add_one(OpKind::kSumPoolGradient, attributes, {gradient}, input);
}

Value lrn(Value x, const LrnAttributes& attributes) {
  return x.graph()->add_one(OpKind::kLrn, attributes, {x}, x.shape());
}

Value lrn_gradient(Value x, Value gradient, const LrnAttributes& attributes) {
  return x.graph()->add_one(OpKind::kLrnGradient, attributes, {x, gradient}, x.shape());
}

RecurrenceResult recurrence(Value pre, Value weights, Value cont, Value h_0, Value c_0, Cell cell) {
  const Shape states{pre.shape()[0], pre.shape()[1], weights.shape()[1]};
  const bool lstm = cell == Cell::kLstm;
  TRAINER_ASSERT(pre.shape()[2] == weights.shape()[0] && weights.shape()[0] == (lstm ? 4 : 1) * states[2]);
  std::vector<Value> inputs{pre, weights, cont, h_0};
  std::vector<TensorDesc> results{TensorDesc{states}};
  if (lstm) {
    inputs.push_back(c_0);
    results.push_back(TensorDesc{states});
    results.push_back(TensorDesc{pre.shape()});
  }
  const std::vector<Value> out = pre.graph()->add(OpKind::kRecurrence, RecurrenceAttributes{cell}, inputs, results);
  return {out[0], lstm ? out[1] : Value()};
}

std::vector<Value> opaque(Graph& graph, std::shared_ptr<const OpaqueOp> op, const std::vector<Value>& inputs,
                          const std::vector<Shape>& results) {
  std::vector<TensorDesc> descs;
  for (const Shape& shape : results) descs.push_back(TensorDesc{shape});
  return graph.add(OpKind::kOpaque, OpaqueAttributes{std::move(op)}, inputs, descs);
}

Value with_gradient(Value y, const std::vector<Value>& inputs, std::function<std::vector<Value>(Value gradient)> rule) {
  // A separate value, so that other uses of y keep the derivative.
  const Value marked = copy_of(y);
  y.graph()->values[static_cast<size_t>(marked.id())].custom_gradient =
      std::make_shared<CustomGradient>(CustomGradient{inputs, std::move(rule)});
  return marked;
}

}  // namespace trainer
