// Finds parameters by pattern and depth, and multiplies their rates and decay.
#include "lowering/multipliers.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace trainer {
namespace {

bool has_weights(const LoweredNet& net, const LoweredLayer& layer) {
  return std::any_of(layer.parameters.begin(), layer.parameters.end(), [&](int index) {
    const ParameterInfo& parameter = net.parameters[static_cast<size_t>(index)];
    return !parameter.statistic && parameter.shape.rank() >= 2;
  });
}

}  // namespace

std::set<std::string> matched_parameters(const std::string& pattern, const LoweredNet& net, Statistics statistics) {
  const auto matches = [&](const std::string& name) { return fnmatch(pattern.c_str(), name.c_str(), 0) == 0; };
  std::set<std::string> states;
  for (const ParameterInfo& parameter : net.parameters) {
    if (parameter.statistic && statistics == Statistics::kIgnored) continue;
    const std::string& layer = net.layers[static_cast<size_t>(parameter.layer)].param->name();
    if (matches(layer) || matches(parameter.state) || (!parameter.param_name.empty() && matches(parameter.param_name)))
      states.insert(parameter.state);
  }
  return states;
}

std::set<std::string> matched_parameters(const std::vector<std::string>& patterns, const LoweredNet& net,
                                         Statistics statistics) {
  std::set<std::string> states;
  for (const std::string& pattern : patterns) states.merge(matched_parameters(pattern, net, statistics));
  return states;
}

std::set<std::string> frozen_parameters(const ParameterMultipliers& multipliers, const LoweredNet& net) {
  std::set<std::string> states = matched_parameters(multipliers.frozen, net, Statistics::kMatched);
  for (const std::string& fresh : matched_parameters(multipliers.fresh, net, Statistics::kMatched)) states.erase(fresh);
  return states;
}

std::vector<int> weight_layers_after(const LoweredNet& net) {
  std::vector<int> after(net.layers.size(), 0);
  std::map<std::string, int> longest;  // by blob, from its readers so far
  for (size_t i = net.layers.size(); i-- > 0;) {
    const LoweredLayer& layer = net.layers[i];
    for (const LoweredTop& top : layer.tops) {
      after[i] = std::max(after[i], longest[top.name]);
      longest.erase(top.name);  // the layers before write another version of this blob
    }
    const int from_here = after[i] + (has_weights(net, layer) ? 1 : 0);
    for (const std::string& bottom : layer.bottom_names) longest[bottom] = std::max(longest[bottom], from_here);
  }
  return after;
}

void apply_multipliers(const ParameterMultipliers& multipliers, LoweredNet* net) {
  for (const caffe::ParamRule& rule : multipliers.rules) {
    const std::set<std::string> matched = matched_parameters(rule.pattern(), *net, Statistics::kIgnored);
    for (ParameterInfo& parameter : net->parameters) {
      if (matched.count(parameter.state) == 0) continue;
      parameter.lr_mult *= rule.lr_mult();
      parameter.decay_mult *= rule.decay_mult();
    }
  }
  const std::set<std::string> frozen = frozen_parameters(multipliers, *net);
  for (ParameterInfo& parameter : net->parameters) {
    if (frozen.count(parameter.state) != 0) parameter.lr_mult = parameter.decay_mult = 0;
  }
  if (multipliers.layer_decay == 1) return;
  const std::vector<int> after = weight_layers_after(*net);
  for (ParameterInfo& parameter : net->parameters)
    parameter.lr_mult *=
        std::pow(multipliers.layer_decay, static_cast<float>(after[static_cast<size_t>(parameter.layer)]));
}

}  // namespace trainer
