// Adds the numbers of debug_info to a graph and formats their lines.
#include "session/debug_info.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "compile/differentiate.h"
#include "ops/math.h"
#include "report/log.h"
#include "session/loss_scale.h"
#include "session/state_names.h"

namespace trainer {
namespace {

Value total(Value x) { return reshape(sum(x, all_axes(x.shape())), Shape{}); }
Value mean_absolute(Value x) { return total(abs(x)) * (1.0f / static_cast<float>(x.shape().count())); }

// The owner's shape: a layer that shares a parameter may use another one.
Shape stored_shape(const LoweredNet& net, const ParameterInfo& parameter) {
  for (const ParameterInfo& owner : net.parameters)
    if (owner.owner && owner.state == parameter.state) return owner.shape;
  return parameter.shape;
}

// The value of the blob that a Split copies.
Value split_value(const LoweredLayer& maker, const CaffeLayer& split) {
  for (const LoweredTop& top : maker.tops)
    if (top.name == split.bottoms.front()) return top.value;
  return Value();
}

// The layers and bottoms that Caffe's backward pass visits: layers that learn or depend on one that learns, and their
// bottoms unless propagate_down excludes them.
struct BackwardNeed {
  std::vector<bool> layers;
  std::vector<std::vector<bool>> bottoms;

  BackwardNeed(const LoweredNet& net, bool force) {
    std::map<std::string, bool> blobs;
    for (const LoweredLayer& layer : net.layers) {
      bool needed = force;
      for (int index : layer.parameters) needed = needed || net.parameters[static_cast<size_t>(index)].lr_mult != 0;
      bottoms.emplace_back();
      for (size_t i = 0; i < layer.bottoms.size(); ++i) {
        const bool above = force || blobs[layer.bottom_names[i]];
        needed = needed || above;
        const bool given = layer.param->propagate_down_size() > 0;
        bottoms.back().push_back(given ? layer.param->propagate_down(static_cast<int>(i)) : above);
      }
      layers.push_back(needed);
      for (const LoweredTop& top : layer.tops) blobs[top.name] = needed;
    }
  }
};

class Builder {
 public:
  Builder(LoweredNet& net, std::vector<int>& results) : net_(net), layers_(caffe_layers(net)), results_(results) {}

  void add_forward();
  void add_backward(const DebugScope& scope);
  DebugInfo info;

 private:
  int add_result(Value scalar);
  void add_mean(std::string text, Value value);
  void add_norms(Value value, DebugInfo::Norms* norms);

  LoweredNet& net_;
  const std::vector<CaffeLayer> layers_;
  std::vector<int>& results_;
};

int Builder::add_result(Value scalar) {
  results_.push_back(scalar.id());
  return static_cast<int>(results_.size()) - 1;
}

void Builder::add_mean(std::string text, Value value) {
  info.means.push_back({std::move(text), add_result(mean_absolute(value))});
}

void Builder::add_norms(Value value, DebugInfo::Norms* norms) {
  norms->absolute.push_back(add_result(total(abs(value))));
  norms->square.push_back(add_result(total(value * value)));
}

void Builder::add_forward() {
  net_.graph->set_context(-1, Pass::kForward);
  const LoweredLayer* maker = nullptr;
  for (const CaffeLayer& layer : layers_) {
    if (layer.source >= 0) maker = &net_.layers[static_cast<size_t>(layer.source)];
    for (size_t i = 0; i < layer.tops.size(); ++i) {
      const Value value = layer.source >= 0 ? maker->tops[i].value : split_value(*maker, layer);
      add_mean(fmt::format("    [Forward] Layer {}, top blob {} data: ", layer.name, layer.tops[i]), value);
    }
    if (layer.source < 0) continue;
    for (int index : maker->parameters) {
      const ParameterInfo& parameter = net_.parameters[static_cast<size_t>(index)];
      Value value = parameter.value;
      for (const StateWrite& write : net_.graph->writes) {
        if (net_.graph->states[static_cast<size_t>(write.state)].name == parameter.state)
          value = Value(net_.graph.get(), write.value);
      }
      const std::string name = parameter.param_name.empty() ? fmt::format("{}", parameter.blob) : parameter.param_name;
      add_mean(fmt::format("    [Forward] Layer {}, param blob {} data: ", layer.name, name), value);
    }
  }
}

void Builder::add_backward(const DebugScope& scope) {
  Graph& graph = *net_.graph;
  const BackwardNeed need(net_, scope.force_backward);
  std::vector<Value> wanted;
  for (size_t l = 0; l < net_.layers.size(); ++l) {
    const LoweredLayer& layer = net_.layers[l];
    for (size_t i = 0; i < layer.bottoms.size(); ++i)
      if (need.bottoms[l][i]) wanted.push_back(layer.bottoms[i]);
    for (const LoweredTop& top : layer.tops)
      if (need.layers[l]) wanted.push_back(top.value);
  }
  for (const ParameterInfo& parameter : net_.parameters)
    if (parameter.lr_mult != 0) wanted.push_back(parameter.value);
  const Value scale = scope.scales_loss ? read_loss_scale(graph) : Value();
  const std::vector<Value> gradients = differentiate(graph, scale ? net_.loss * scale : net_.loss, wanted);
  graph.set_context(-1, Pass::kBackward);
  const auto unscaled = [&](Value gradient) { return scale && gradient ? gradient / scale : gradient; };
  std::map<int, Value> gradient_of;
  for (size_t i = 0; i < wanted.size(); ++i) gradient_of[wanted[i].id()] = unscaled(gradients[i]);

  const auto add_bottom = [&](const CaffeLayer& layer, size_t bottom, Value gradient) {
    if (!gradient) return;
    add_mean(fmt::format("    [Backward] Layer {}, bottom blob {} diff: ", layer.name, layer.bottoms[bottom]),
             gradient);
  };
  // The gradient of each state, summed from the last layer that reads it to the first.
  std::map<std::string, Value> diffs;
  for (auto layer = layers_.rbegin(); layer != layers_.rend(); ++layer) {
    const auto maker = std::find_if(layer, layers_.rend(), [](const CaffeLayer& l) { return l.source >= 0; });
    const size_t l = static_cast<size_t>(maker->source);
    const LoweredLayer& source = net_.layers[l];
    if (layer->source < 0) {
      if (need.layers[l]) add_bottom(*layer, 0, gradient_of[split_value(source, *layer).id()]);
      continue;
    }
    for (size_t i = 0; i < source.bottoms.size(); ++i)
      if (need.bottoms[l][i]) add_bottom(*layer, i, gradient_of[source.bottoms[i].id()]);
    for (int index : source.parameters) {
      const ParameterInfo& parameter = net_.parameters[static_cast<size_t>(index)];
      const Value gradient = parameter.lr_mult != 0 ? gradient_of[parameter.value.id()] : Value();
      if (!gradient) continue;
      Value& diff = diffs[parameter.state];
      if (!diff && scope.accumulates)
        diff = unscaled(
            graph.read_state({gradient_state(parameter.state), stored_shape(net_, parameter), StateOwner::kSolver}));
      const Value part = reshape(gradient, stored_shape(net_, parameter));
      diff = diff ? diff + part : part;
      add_mean(fmt::format("    [Backward] Layer {}, param blob {} diff: ", layer->name, parameter.blob), diff);
    }
  }
  for (const ParameterInfo& parameter : net_.parameters) {
    if (!parameter.owner) continue;
    add_norms(parameter.value, &info.data);
    const auto diff = diffs.find(parameter.state);
    if (diff != diffs.end()) add_norms(diff->second, &info.diff);
  }
}

}  // namespace

DebugInfo add_debug_info(LoweredNet& net, const DebugScope& scope, std::vector<int>* results) {
  Builder builder(net, *results);
  builder.add_forward();
  if (scope.backward && net.loss) builder.add_backward(scope);
  return std::move(builder.info);
}

std::vector<std::string> DebugInfo::lines(const Program& program) const {
  const auto number = [&](int result) {
    float value = 0;
    program.read_result(result, &value);
    return value;
  };
  const auto sum_of = [&](const std::vector<int>& results) {
    double sum = 0;
    for (int result : results) sum += number(result);
    return sum;
  };
  std::vector<std::string> lines;
  for (const Line& line : means) lines.push_back(line.text + log_number(number(line.result)));
  if (!data.absolute.empty())
    lines.push_back(fmt::format("    [Backward] All net params (data, diff): L1 norm = ({}, {}); L2 norm = ({}, {})",
                                log_number(sum_of(data.absolute)), log_number(sum_of(diff.absolute)),
                                log_number(std::sqrt(sum_of(data.square))),
                                log_number(std::sqrt(sum_of(diff.square)))));
  return lines;
}

}  // namespace trainer
