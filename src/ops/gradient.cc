// The gradient rule of every kind of op. g is the gradient of the result, y the result; a and b are operands.
#include "ops/gradient.h"

#include <algorithm>

#include "base/error.h"
#include "ops/math.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

// Gradients of the arguments of one scalar function.
std::vector<Value> function_gradients(const MapNode& node, Value a, Value b, Value y, Value g) {
  const Value none;
  const float k = node.k;
  const auto zero = [&] { return constant(*g.graph(), Shape{}, 0); };
#define TRAINER_FUNCTION(name, function, text, arguments, cost, range, value, ...) \
  case Fn::k##name: return {__VA_ARGS__};
  switch (node.fn) {
#include "ops/functions.def"
    default: return {};
  }
}

std::vector<Value> map_gradients(Graph& graph, const Op& op, Value g, const std::vector<bool>& wanted) {
  const MapBody& body = op.as<MapBody>();
  TRAINER_ASSERT(body.outputs.size() == 1);  // differentiation comes before fusion
  const MapOutput& output = body.outputs.front();
  const MapNode& node = body.nodes[static_cast<size_t>(output.node)];
  std::vector<Value> result(op.inputs.size());
  const Value y = graph.value(op.outputs.front());
  if (output.reduction != Reduction::kNone) {
    const Value x = graph.value(op.inputs[static_cast<size_t>(node.a)]);
    if (wanted[0]) result[0] = output.reduction == Reduction::kSum ? g : g * equal(x, y);
    return result;
  }
  const int indices[] = {node.a, node.b, node.c};
  Value arguments[3];
  for (int i = 0; i < arity_of(node.fn); ++i)
    arguments[i] = graph.value(op.inputs[static_cast<size_t>(body.nodes[static_cast<size_t>(indices[i])].a)]);
  const std::vector<Value> gradients = function_gradients(node, arguments[0], arguments[1], y, g);
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i]) continue;
    for (size_t operand = 0; operand < op.inputs.size(); ++operand) {
      if (!wanted[operand] || op.inputs[operand] != arguments[i].id()) continue;
      const Value part = sum_to_operand(gradients[i], body.domain, arguments[i].shape());
      result[operand] = result[operand] ? result[operand] + part : part;
    }
  }
  return result;
}

Value bias_gradient(Value g, const Shape& bias) { return reshape(sum(g, axes_but(g.shape(), 1)), bias); }

std::vector<Value> convolution_gradients(Graph& graph, const Op& op, Value g, const std::vector<bool>& wanted) {
  const auto& attributes = op.as<ConvolutionAttributes>();
  const Value x = graph.value(op.inputs[0]), w = graph.value(op.inputs[1]);
  std::vector<Value> result(op.inputs.size());
  if (op.kind == OpKind::kConvolution) {
    if (wanted[0]) result[0] = convolution_input_gradient(g, w, Value(), x.shape(), attributes);
    if (wanted[1]) result[1] = convolution_weight_gradient(x, g, w.shape(), attributes);
  } else {
    if (wanted[0]) result[0] = convolution(g, w, Value(), attributes);
    if (wanted[1]) result[1] = convolution_weight_gradient(g, x, w.shape(), attributes);
  }
  if (op.inputs.size() > 2 && wanted[2]) result[2] = bias_gradient(g, graph.desc(op.inputs[2]).shape);
  return result;
}

std::vector<Value> matmul_gradients(Graph& graph, const Op& op, Value g, const std::vector<bool>& wanted) {
  const auto& attributes = op.as<MatmulAttributes>();
  const bool ta = attributes.transpose_a, tb = attributes.transpose_b;
  const Value a = graph.value(op.inputs[0]), b = graph.value(op.inputs[1]);
  std::vector<Value> result(op.inputs.size());
  if (wanted[0]) result[0] = ta ? matmul(b, g, Value(), tb, true) : matmul(g, b, Value(), false, !tb);
  if (wanted[1]) result[1] = tb ? matmul(g, a, Value(), true, ta) : matmul(a, g, Value(), !ta, false);
  if (op.inputs.size() > 2 && wanted[2]) result[2] = bias_gradient(g, graph.desc(op.inputs[2]).shape);
  return result;
}

// The gradients of the parts, joined, with zeros for parts that have none.
Value slice_gradient(Graph& graph, const Op& op, const std::vector<Value>& output_gradients) {
  const auto& range = op.as<SliceAttributes>();
  std::vector<Value> parts;
  size_t joined = 0;  // up to the last part that has a gradient
  int64_t begin = range.begin;
  for (size_t i = 0; i < op.outputs.size(); ++i) {
    const Shape& shape = graph.desc(op.outputs[i]).shape;
    const Value g = output_gradients[i];
    if (!g && joined == 0) {
      begin += shape[range.axis];
      continue;
    }
    parts.push_back(broadcast_to(g ? g : constant(graph, Shape{}, 0), shape));
    if (g) joined = parts.size();
  }
  parts.resize(joined);
  return pad(concat(parts, range.axis), range.axis, begin, range.extent);
}

// One slice for each run of operands whose gradients are wanted.
std::vector<Value> concat_gradients(Graph& graph, const Op& op, Value g, const std::vector<bool>& wanted) {
  const int axis = op.as<ConcatAttributes>().axis;
  std::vector<Value> result(op.inputs.size());
  int64_t end = 0;
  for (size_t i = 0; i < op.inputs.size(); ++i) {
    const size_t first = i;
    const int64_t begin = end;
    std::vector<int64_t> ends;
    for (; i < op.inputs.size() && wanted[i]; ++i) ends.push_back(end += graph.desc(op.inputs[i]).shape[axis]);
    if (i < op.inputs.size()) end += graph.desc(op.inputs[i]).shape[axis];
    if (ends.empty()) continue;
    const std::vector<Value> parts = slices(g, axis, begin, ends);
    std::copy(parts.begin(), parts.end(), result.begin() + static_cast<std::ptrdiff_t>(first));
  }
  return result;
}

// The weight gradient is one matrix product over the hidden states of all steps.
std::vector<Value> recurrence_gradients(Graph& graph, const Op& op, Value g, const std::vector<bool>& wanted) {
  const Value pre = graph.value(op.inputs[0]), w = graph.value(op.inputs[1]), cont = graph.value(op.inputs[2]),
              h_0 = graph.value(op.inputs[3]), h = graph.value(op.outputs[0]);
  std::vector<Value> result(op.inputs.size());
  if (!wanted[0] && !wanted[1]) return result;
  std::vector<Value> operands{g, w, cont, h};
  if (op.as<RecurrenceAttributes>().cell == Cell::kLstm)
    operands = {g, w, cont, graph.value(op.inputs[4]), graph.value(op.outputs[1]), graph.value(op.outputs[2])};
  const Value dp = graph.add_one(OpKind::kRecurrenceGradient, op.attributes, operands, pre.shape());
  if (wanted[0]) result[0] = dp;
  if (!wanted[1]) return result;
  const int64_t steps = h.shape()[0], items = h.shape()[1], hidden = h.shape()[2];
  Value before = reshape(h_0, Shape{1, items, hidden});
  if (steps > 1) before = concat({before, slice(h, 0, 0, steps - 1)}, 0);
  before = before * reshape(cont, Shape{steps, items, 1});
  result[1] = matmul(reshape(dp, Shape{steps * items, w.shape()[0]}), reshape(before, Shape{steps * items, hidden}),
                     Value(), true, false);
  return result;
}

}  // namespace

Value sum_to_operand(Value gradient, const Shape& domain, const Shape& operand) {
  if (gradient.shape() == operand) return gradient;
  float repeats = 1;
  std::vector<int> axes;
  for (int axis = 0; axis < domain.rank(); ++axis) {
    if (domain[axis] == 1 || (operand.rank() > 0 && operand[axis] == domain[axis])) continue;
    if (gradient.shape().rank() > 0 && gradient.shape()[axis] == domain[axis]) {
      axes.push_back(axis);
    } else {
      repeats *= static_cast<float>(domain[axis]);
    }
  }
  Value result = sum(gradient, axes) * repeats;
  return operand.rank() == 0 ? reshape(result, operand) : result;
}

std::vector<Value> gradients_of(Graph& graph, const Op& op, const std::vector<Value>& output_gradients,
                                const std::vector<bool>& wanted) {
  if (op.inputs.empty()) return {};
  const Value first = output_gradients.front();  // may have extent 1 or rank 0
  if (op.kind == OpKind::kOpaque) {
    std::vector<Value> inputs, outputs, full;
    for (int id : op.inputs) inputs.push_back(graph.value(id));
    for (size_t i = 0; i < op.outputs.size(); ++i) {
      outputs.push_back(graph.value(op.outputs[i]));
      const Value g = output_gradients[i] ? output_gradients[i] : constant(graph, Shape{}, 0);
      full.push_back(broadcast_to(g, outputs.back().shape()));
    }
    return op.as<OpaqueAttributes>().op->gradient(inputs, outputs, full);
  }
  if (op.kind == OpKind::kSlice) return {slice_gradient(graph, op, output_gradients)};
  if (!first) return std::vector<Value>(op.inputs.size());
  if (op.kind == OpKind::kMap) return map_gradients(graph, op, first, wanted);

  const Shape& result_shape = graph.desc(op.outputs.front()).shape;
  const Value x = graph.value(op.inputs.front());
  if (op.kind == OpKind::kReshape && first.shape().count() == 1 && result_shape.count() != 1)
    return {reshape(first, Shape{})};
  const Value g = broadcast_to(first, result_shape);
  switch (op.kind) {
    case OpKind::kConvolution:
    case OpKind::kConvolutionInputGradient: return convolution_gradients(graph, op, g, wanted);
    case OpKind::kMatmul: return matmul_gradients(graph, op, g, wanted);
    case OpKind::kMaxPool:
      return {max_pool_gradient(g, graph.value(op.outputs[1]), x.shape(), op.as<PoolAttributes>())};
    case OpKind::kSumPool: return {sum_pool_gradient(g, x.shape(), op.as<PoolAttributes>())};
    case OpKind::kLrn: return {lrn_gradient(x, g, op.as<LrnAttributes>())};
    case OpKind::kRecurrence: return recurrence_gradients(graph, op, g, wanted);
    case OpKind::kReshape: return {reshape(g, x.shape())};
    case OpKind::kPermute: {
      const auto& axes = op.as<PermuteAttributes>().axes;
      std::vector<int> inverse(axes.size());
      for (size_t i = 0; i < axes.size(); ++i) inverse[static_cast<size_t>(axes[i])] = static_cast<int>(i);
      return {permute(g, inverse)};
    }
    case OpKind::kPad: {
      const auto& range = op.as<SliceAttributes>();
      return {slice(g, range.axis, range.begin, range.end)};
    }
    case OpKind::kConcat: return concat_gradients(graph, op, g, wanted);
    default: TRAINER_ASSERT(false && "an op without a second derivative");
  }
  return {};
}

}  // namespace trainer
