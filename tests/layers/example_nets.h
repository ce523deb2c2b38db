// The nets of the layers' contract tests, with the results and gradients that training computes.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "compile/differentiate.h"
#include "lowering/lower_net.h"
#include "ops/math.h"
#include "test_environment.h"

namespace trainer {

struct ExampleNet {
  std::string name, text;
};

// The example of every registered layer except data sources, and the nets of modes/, which cover further modes.
inline std::vector<ExampleNet> example_nets() {
  std::vector<ExampleNet> nets;
  for (const LayerType* type : layer_types()) {
    if (!type->data_source) nets.push_back({type->type, type->example});
  }
  for (const auto& file : std::filesystem::directory_iterator(source_folder() + "/tests/layers/modes")) {
    std::ifstream text(file.path());
    nets.push_back({file.path().stem().string(), {std::istreambuf_iterator<char>(text), {}}});
  }
  std::sort(nets.begin(), nets.end(), [](const ExampleNet& a, const ExampleNet& b) { return a.name < b.name; });
  return nets;
}

// Value ids in the net's graph; -1: none.
struct ExampleResults {
  std::vector<int> outputs;
  int scalar = -1;             // the sum of all outputs with random weights
  std::vector<int> gradients;  // of the scalar: with respect to the sources, then to the trained parameters
};

inline std::vector<int> outputs_of(const LoweredNet& net) {
  std::vector<int> outputs;
  for (const NetOutput& output : net.outputs) outputs.push_back(output.value.id());
  return outputs;
}

// Adds the scalar and its gradients to the graph.
inline ExampleResults add_gradients(LoweredNet& net) {
  Graph& graph = *net.graph;
  Value scalar = constant(graph, Shape{}, 0);
  for (const NetOutput& output : net.outputs) {
    const Value weighed = output.value * random_uniform(graph, output.value.shape(), 5);
    scalar = scalar + reshape(sum(weighed, all_axes(weighed.shape())), Shape{});
  }
  std::vector<Value> wanted;
  for (const SourceInfo& source : graph.sources) wanted.push_back(graph.value(source.value));
  for (const ParameterInfo& parameter : net.parameters) {
    if (parameter.owner && !parameter.statistic) wanted.push_back(graph.read_state({parameter.state, parameter.shape}));
  }
  ExampleResults results{outputs_of(net), scalar.id(), {}};
  for (const Value& gradient : differentiate(graph, scalar, wanted))
    results.gradients.push_back(gradient ? gradient.id() : -1);
  return results;
}

}  // namespace trainer
