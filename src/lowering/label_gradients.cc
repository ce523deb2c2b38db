// Finds the values that depend on trained parameters and those that contribute to the loss.
#include "lowering/label_gradients.h"

#include <set>

#include "lowering/layer_lowering.h"

namespace trainer {
namespace {

std::vector<bool> depending_on_trained(const LoweredNet& net) {
  const Graph& graph = *net.graph;
  std::set<std::string> trained;
  for (const ParameterInfo& parameter : net.parameters)
    if (parameter.owner && !parameter.statistic && parameter.lr_mult != 0) trained.insert(parameter.state);
  std::vector<bool> depends(graph.values.size(), false);
  for (const Op& op : graph.ops) {
    bool any = op.kind == OpKind::kStateRead &&
               trained.count(graph.states[static_cast<size_t>(op.as<IndexAttributes>().index)].name) > 0;
    for (int input : op.inputs) any = any || depends[static_cast<size_t>(input)];
    for (int output : op.outputs)
      depends[static_cast<size_t>(output)] = any && !graph.values[static_cast<size_t>(output)].stop_gradient;
  }
  return depends;
}

std::vector<bool> leading_to(const Graph& graph, int target) {
  std::vector<bool> leads(graph.values.size(), false);
  leads[static_cast<size_t>(target)] = true;
  for (auto op = graph.ops.rbegin(); op != graph.ops.rend(); ++op) {
    bool any = false;
    for (int output : op->outputs) any = any || leads[static_cast<size_t>(output)];
    for (int input : op->inputs) leads[static_cast<size_t>(input)] = leads[static_cast<size_t>(input)] || any;
  }
  return leads;
}

}  // namespace

void report_label_gradients(const LoweredNet& net, const Positions& positions, Diagnostics& diagnostics) {
  if (net.phase != caffe::TRAIN || !net.loss) return;
  const Graph& graph = *net.graph;
  const std::vector<bool> depends = depending_on_trained(net);
  const std::vector<bool> leads = leading_to(graph, net.loss.id());
  for (const LoweredLayer& layer : net.layers) {
    if (layer.type == nullptr) continue;
    bool counts = false;
    for (const LoweredTop& top : layer.tops)
      counts = counts || (top.value && leads[static_cast<size_t>(top.value.id())]);
    if (!counts) continue;
    for (int bottom : layer.type->label_bottoms) {
      if (bottom >= static_cast<int>(layer.bottoms.size())) continue;
      const Value label = layer.bottoms[static_cast<size_t>(bottom)];
      if (!label || !depends[static_cast<size_t>(label.id())]) continue;
      diagnostics.error(
          position_of(positions, *layer.param, fmt::format("bottom[{}]", bottom)), subject_of(*layer.param),
          fmt::format("{} Layer cannot backpropagate to label inputs: bottom {} \"{}\" depends on learned "
                      "parameters",
                      layer.param->type(), bottom, layer.bottom_names[static_cast<size_t>(bottom)]),
          "are the bottoms in the right order? Otherwise give propagate_down for each bottom, false for "
          "this one");
    }
  }
}

}  // namespace trainer
