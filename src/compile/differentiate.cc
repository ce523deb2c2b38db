// Reverse-mode differentiation of a graph.
#include "compile/differentiate.h"

#include "base/error.h"
#include "ops/gradient.h"
#include "ops/math.h"

namespace trainer {
namespace {

// For each value: whether it depends on a wanted value along a path that passes gradients.
std::vector<bool> values_with_gradient(const Graph& graph, const std::vector<Value>& wanted) {
  std::vector<bool> needs(graph.values.size(), false);
  for (const Value& value : wanted) needs[static_cast<size_t>(value.id())] = true;
  for (const Op& op : graph.ops) {
    bool any = false;
    for (int input : op.inputs) any = any || needs[static_cast<size_t>(input)];
    for (int output : op.outputs) {
      const ValueInfo& info = graph.values[static_cast<size_t>(output)];
      bool flows = any && !info.stop_gradient;
      if (info.custom_gradient) {
        flows = false;
        for (const Value& input : info.custom_gradient->inputs) flows = flows || needs[static_cast<size_t>(input.id())];
      }
      if (flows) needs[static_cast<size_t>(output)] = true;
    }
  }
  return needs;
}

}  // namespace

std::vector<Value> differentiate(Graph& graph, Value loss, const std::vector<Value>& wanted) {
  TRAINER_ASSERT(loss.shape().rank() == 0);
  const std::vector<bool> needs = values_with_gradient(graph, wanted);
  std::vector<Value> gradients(graph.values.size());
  auto accumulate = [&](int value, Value part) {
    if (!part || !needs[static_cast<size_t>(value)]) return;
    Value& sum = gradients[static_cast<size_t>(value)];
    sum = sum ? sum + part : part;
  };

  const int layer = graph.context_layer();
  const Pass pass = graph.context_pass();
  const size_t forward_ops = graph.ops.size();
  graph.set_context(
      graph.ops[static_cast<size_t>(graph.values[static_cast<size_t>(loss.id())].producer)].shares.front().layer,
      Pass::kBackward);
  accumulate(loss.id(), constant(graph, Shape{}, 1));
  for (size_t i = forward_ops; i-- > 0;) {
    const Op op = graph.ops[i];  // a copy: rules append to graph.ops
    std::vector<Value> output_gradients;
    bool any = false;
    for (int output : op.outputs) {
      output_gradients.push_back(gradients[static_cast<size_t>(output)]);
      any = any || output_gradients.back();
    }
    if (!any) continue;
    graph.set_context(op.shares.front().layer, Pass::kBackward);
    if (const auto custom = graph.values[static_cast<size_t>(op.outputs.front())].custom_gradient) {
      const Shape shape = graph.desc(op.outputs.front()).shape;
      const std::vector<Value> parts = custom->rule(broadcast_to(output_gradients.front(), shape));
      TRAINER_ASSERT(parts.size() == custom->inputs.size());
      for (size_t k = 0; k < parts.size(); ++k) accumulate(custom->inputs[k].id(), parts[k]);
      continue;
    }
    std::vector<bool> wanted_inputs;
    for (int input : op.inputs) wanted_inputs.push_back(needs[static_cast<size_t>(input)]);
    const std::vector<Value> parts = gradients_of(graph, op, output_gradients, wanted_inputs);
    for (size_t k = 0; k < parts.size(); ++k) accumulate(op.inputs[k], parts[k]);
  }

  std::vector<Value> result;
  for (const Value& value : wanted) {
    const Value gradient = gradients[static_cast<size_t>(value.id())];
    if (gradient)
      graph.set_context(graph.ops[static_cast<size_t>(graph.values[static_cast<size_t>(gradient.id())].producer)]
                            .shares.front()
                            .layer,
                        Pass::kBackward);
    result.push_back(gradient ? broadcast_to(gradient, value.shape()) : Value());
  }
  graph.set_context(layer, pass);
  return result;
}

}  // namespace trainer
