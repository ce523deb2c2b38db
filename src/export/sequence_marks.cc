// Finds the marks of sequences.
#include "export/sequence_marks.h"

#include <algorithm>
#include <set>

#include "export/array_net.h"

namespace trainer {
namespace {

using caffe::LayerParameter;

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Whether the values of the tops are the same for all inputs. `constants`: the blobs of which this is known.
bool is_constant(const LayerParameter& layer, const std::set<std::string>& constants) {
  if (layer.type() == "Input") return false;
  if (layer.type() == "Power" && (layer.power_param().scale() == 0 || layer.power_param().power() == 0)) return true;
  return std::all_of(layer.bottom().begin(), layer.bottom().end(),
                     [&](const std::string& bottom) { return constants.count(bottom) > 0; });
}

// The layers before `end` that compute the blob.
ExportedNet part_for(const ExportedNet& net, const std::string& blob, size_t end) {
  ExportedNet part;
  part.name = net.name;
  std::set<std::string> wanted{blob};
  for (size_t i = end; i-- > 0;) {
    const LayerParameter& layer = net.layers[i].param;
    if (std::none_of(layer.top().begin(), layer.top().end(),
                     [&](const std::string& top) { return wanted.count(top) > 0; }))
      continue;
    for (const std::string& top : layer.top()) wanted.erase(top);
    wanted.insert(layer.bottom().begin(), layer.bottom().end());
    part.layers.insert(part.layers.begin(), net.layers[i]);
  }
  return part;
}

bool marks_one_sequence(const NamedArray& marks) {
  if (marks.shape.rank() != 2) return false;
  const auto step = static_cast<size_t>(marks.shape[1]);
  for (size_t i = 0; i < marks.values.size(); ++i) {
    if (marks.values[i] != (i < step ? 0.0f : 1.0f)) return false;
  }
  return true;
}

NamedArray value_of(const ExportedNet& net, const std::string& blob, size_t end, const GivenShapes& shapes) {
  const ExportedNet part = part_for(net, blob, end);
  GivenShapes own;
  for (const auto& [name, shape] : input_shapes(part.message(), 0)) own[name] = shapes.at(name);
  ArrayNet computed(part, own);
  const NamedArrays outputs = computed.run(computed.random_inputs());
  const auto found = outputs.find(blob);
  return found == outputs.end() ? NamedArray() : found->second;
}

}  // namespace

bool is_recurrent(const LayerParameter& layer) { return layer.type() == "LSTM" || layer.type() == "RNN"; }

std::vector<std::string> input_marks(const ExportedNet& net) {
  std::set<std::string> inputs, marks, others;
  for (const ExportedLayer& layer : net.layers) {
    const LayerParameter& param = layer.param;
    if (param.type() == "Input") inputs.insert(param.top().begin(), param.top().end());
    for (int i = 0; i < param.bottom_size(); ++i)
      (is_recurrent(param) && i == 1 ? marks : others).insert(param.bottom(i));
  }
  std::vector<std::string> out;
  for (const std::string& mark : marks) {
    if (inputs.count(mark) > 0 && others.count(mark) == 0) out.push_back(mark);
  }
  return out;
}

std::vector<std::string> computed_marks(const ExportedNet& net, const GivenShapes& shapes) {
  std::vector<std::string> marks;
  std::set<std::string> constants;
  for (size_t i = 0; i < net.layers.size(); ++i) {
    const LayerParameter& layer = net.layers[i].param;
    if (is_recurrent(layer) && constants.count(layer.bottom(1)) > 0 &&
        marks_one_sequence(value_of(net, layer.bottom(1), i, shapes)))
      marks.push_back(layer.bottom(1));
    const bool constant = is_constant(layer, constants);
    for (const std::string& top : layer.top()) {
      if (constant) {
        constants.insert(top);
      } else {
        constants.erase(top);
      }
    }
  }
  return marks;
}

std::vector<bool> layers_without_marks(const ExportedNet& net, const std::vector<std::string>& outputs,
                                       const std::vector<std::string>& marks) {
  std::vector<bool> needed(net.layers.size(), false);
  std::set<std::string> wanted(outputs.begin(), outputs.end());
  for (size_t i = net.layers.size(); i-- > 0;) {
    const LayerParameter& layer = net.layers[i].param;
    needed[i] = layer.type() == "Input" || std::any_of(layer.top().begin(), layer.top().end(),
                                                       [&](const std::string& top) { return wanted.count(top) > 0; });
    if (!needed[i]) continue;
    for (const std::string& top : layer.top()) wanted.erase(top);
    for (int b = 0; b < layer.bottom_size(); ++b) {
      if (!is_recurrent(layer) || b != 1 || !contains(marks, layer.bottom(b))) wanted.insert(layer.bottom(b));
    }
  }
  return needed;
}

}  // namespace trainer
