// Arrays of the caller as tops of Input layers.
#include "session/input_arrays.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "session/net_programs.h"

namespace trainer {
namespace {

// nullopt if the shape is not valid: lowering reports it.
std::optional<Shape> own_shape(const caffe::LayerParameter& layer, int top) {
  const caffe::InputParameter& param = layer.input_param();
  if (param.shape_size() != 1 && param.shape_size() != layer.top_size()) return std::nullopt;
  const caffe::BlobShape& dims = param.shape(param.shape_size() == 1 ? 0 : top);
  const Shape shape(std::vector<int64_t>(dims.dim().begin(), dims.dim().end()));
  return check_shape(shape).empty() ? std::optional<Shape>(shape) : std::nullopt;
}

void require_possible(const std::string& top, const Shape& shape) {
  const std::string reason = check_shape(shape);
  if (!reason.empty()) throw config_error("input \"{}\" cannot have the shape {}: {}", top, shape.text(), reason);
}

Error no_input(const std::string& top, const std::vector<std::string>& inputs) {
  return config_error(
      "the net has no input \"{}\"; {}", top,
      inputs.empty() ? "it has no Input layer" : fmt::format("its inputs: {}", fmt::join(inputs, ", ")));
}

}  // namespace

InputArrays::InputArrays(const caffe::NetParameter& net, const GivenShapes& given) {
  std::vector<std::string> tops;
  for (int i = 0; i < net.layer_size(); ++i) {
    const caffe::LayerParameter& layer = net.layer(i);
    if (layer.type() != "Input") continue;
    tops.insert(tops.end(), layer.top().begin(), layer.top().end());
    std::vector<Input> inputs;
    for (int top = 0; top < layer.top_size(); ++top) {
      const auto found = given.find(layer.top(top));
      const std::optional<Shape> shape = found == given.end() ? own_shape(layer, top) : found->second;
      if (found != given.end()) require_possible(layer.top(top), found->second);
      if (shape) inputs.push_back({&layer, i, top, layer.top(top), *shape, {}});
    }
    if (static_cast<int>(inputs.size()) == layer.top_size())
      inputs_.insert(inputs_.end(), inputs.begin(), inputs.end());
  }
  for (const auto& [name, shape] : given) {
    if (std::find(tops.begin(), tops.end(), name) == tops.end()) throw no_input(name, tops);
  }
}

std::vector<std::string> InputArrays::names() const {
  std::vector<std::string> names;
  for (const Input& input : inputs_) names.push_back(input.name);
  return names;
}

size_t InputArrays::index_of(const std::string& top) const {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i].name == top) return i;
  }
  throw no_input(top, names());
}

const Shape& InputArrays::shape(const std::string& top) const { return inputs_[index_of(top)].shape; }

void InputArrays::set(const std::string& top, std::span<const float> values, const std::optional<Shape>& shape) {
  Input& input = inputs_[index_of(top)];
  const Shape& wanted = shape ? *shape : input.shape;
  require_possible(top, wanted);
  if (static_cast<int64_t>(values.size()) != wanted.count())
    throw config_error("input \"{}\" has {} elements in the shape {}, and the array has {}", top, wanted.count(),
                       wanted.text(), values.size());
  input.values = values;
  if (shape) input.shape = *shape;
}

std::vector<Shape> InputArrays::shapes() const {
  std::vector<Shape> shapes;
  for (const Input& input : inputs_) shapes.push_back(input.shape);
  return shapes;
}

bool InputArrays::fit(const std::vector<Shape>& shapes_of_program) const {
  return std::equal(inputs_.rbegin(), inputs_.rend(), shapes_of_program.rbegin(),
                    [](const Input& input, const Shape& shape) { return input.shape == shape; });
}

std::vector<Shape> InputArrays::shapes_of(const caffe::LayerParameter& layer) const {
  std::vector<Shape> shapes;
  for (const Input& input : inputs_) {
    if (input.message == &layer) shapes.push_back(input.shape);
  }
  return shapes;
}

const InputArrays::Input* InputArrays::find(const SourceInfo& source) const {
  const auto found = std::find_if(inputs_.begin(), inputs_.end(), [&](const Input& input) {
    return input.layer == source.layer && input.top == source.top;
  });
  return found == inputs_.end() ? nullptr : &*found;
}

void InputArrays::settle_orders(Graph& graph) const {
  for (SourceInfo& source : graph.sources) {
    if (fills(source)) source.order = MemoryFormat::kRowMajor;
  }
}

void InputArrays::hand_to(NetProgram& program, Device& device) const {
  for (size_t i = 0; i < program.program->sources.size(); ++i) {
    const SourceInfo& source = program.program->sources[i];
    const Input* input = source.value < 0 ? nullptr : find(source);
    if (input == nullptr) continue;
    if (input->values.empty()) throw config_error("the input \"{}\" has no array: set it before the pass", input->name);
    if (device.is_host()) {
      program.program->set_source(static_cast<int>(i), const_cast<float*>(input->values.data()));
    } else {
      device.copy_from_host(program.inputs.at(static_cast<int>(i))->data(), input->values.data(),
                            static_cast<int64_t>(input->values.size_bytes()));
    }
  }
}

}  // namespace trainer
