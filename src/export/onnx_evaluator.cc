// Runs the nodes of an ONNX model in their order.
#include "export/onnx_evaluator.h"

#include <algorithm>
#include <map>

#include "base/error.h"

namespace trainer {
namespace {

const OnnxOperators& operators() {
  static const OnnxOperators all = [] {
    OnnxOperators made;
    add_window_operators(&made);
    add_elementwise_operators(&made);
    add_array_operators(&made);
    add_product_operators(&made);
    return made;
  }();
  return all;
}

OnnxArray array_of(OnnxTensor tensor) {
  OnnxArray array;
  array.shape = Shape(std::move(tensor.dims));
  array.integers = tensor.type == OnnxType::kInt64;
  array.floats = std::move(tensor.floats);
  array.ints = std::move(tensor.ints);
  return array;
}

}  // namespace

OnnxArray OnnxArray::of_floats(const Shape& shape) {
  OnnxArray array;
  array.shape = shape;
  array.floats.resize(static_cast<size_t>(shape.count()));
  return array;
}

OnnxArray OnnxArray::of_ints(const Shape& shape) {
  OnnxArray array;
  array.shape = shape;
  array.ints.resize(static_cast<size_t>(shape.count()));
  array.integers = true;
  return array;
}

const OnnxArray& OnnxCall::input(size_t i) const {
  TRAINER_ASSERT(has(i));
  return *inputs[i];
}

int OnnxCall::axis(int64_t value) const {
  const int rank = input(0).shape.rank();
  TRAINER_ASSERT(value >= -rank && value < std::max(rank, 1));
  return static_cast<int>(value < 0 ? value + rank : value);
}

std::map<std::string, OnnxArray> evaluate_onnx(const OnnxModel& model, std::map<std::string, OnnxArray> inputs,
                                               const std::vector<std::string>& names) {
  std::map<std::string, OnnxArray> values = std::move(inputs);
  for (const OnnxTensor& tensor : model.initializers) values[tensor.name] = array_of(tensor);
  // By name: the last node that reads it, after which its memory is free.
  std::map<std::string, size_t> last;
  for (size_t i = 0; i < model.nodes.size(); ++i) {
    for (const std::string& input : model.nodes[i].inputs) last[input] = i;
  }
  for (const std::string& name : names) last[name] = model.nodes.size();
  for (size_t i = 0; i < model.nodes.size(); ++i) {
    const OnnxNode& node = model.nodes[i];
    OnnxCall call{node, {}};
    for (const std::string& input : node.inputs) {
      TRAINER_ASSERT(input.empty() || values.count(input) > 0);
      call.inputs.push_back(input.empty() ? nullptr : &values.at(input));
    }
    const auto found = operators().find(node.type);
    TRAINER_ASSERT(found != operators().end());
    std::vector<OnnxArray> results = found->second(call);
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      if (!node.outputs[k].empty()) values[node.outputs[k]] = std::move(results.at(k));
    }
    for (const std::string& input : node.inputs) {
      if (last[input] == i) values.erase(input);
    }
  }
  std::map<std::string, OnnxArray> outputs;
  for (const std::string& name : names) {
    if (values.count(name) > 0) outputs[name] = std::move(values.at(name));
  }
  return outputs;
}

}  // namespace trainer
