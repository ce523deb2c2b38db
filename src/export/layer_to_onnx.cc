// Adds the nodes of single layers.
#include "export/layer_to_onnx.h"

#include <algorithm>

namespace trainer {

LayerToOnnx::LayerToOnnx(const ExportedLayer& layer, std::vector<Blob> bottoms, std::vector<Blob> tops,
                         OnnxModel* model)
    : layer_(layer),
      bottoms_(std::move(bottoms)),
      tops_(std::move(tops)),
      model_(*model),
      first_node_(model->nodes.size()) {}

int64_t LayerToOnnx::extent(int bottom, int axis) const {
  const int64_t extent = dims(bottom)[static_cast<size_t>(axis)];
  if (extent == kBatchExtent)
    fail(
        fmt::format("axis {} of \"{}\" depends on the size of the batch; if a Reshape before it states the batch, let "
                    "it take that of its bottom: dim: 0",
                    axis, param().bottom(bottom)));
  return extent;
}

std::string LayerToOnnx::weights(size_t blob) { return weights(blob, layer_.blobs[blob].shape); }

std::string LayerToOnnx::weights(size_t blob, const Shape& shape) {
  const std::string name = fmt::format("{}/{}", param().name(), blob);
  const bool known = std::any_of(model_.initializers.begin(), model_.initializers.end(),
                                 [&](const OnnxTensor& tensor) { return tensor.name == name; });
  if (!known) model_.initializers.push_back({name, OnnxType::kFloat, shape.dims(), layer_.blobs[blob].data, {}});
  return name;
}

std::string LayerToOnnx::floats(const Shape& shape, std::vector<float> values) {
  model_.initializers.push_back({fmt::format("{}/constant{}", param().name(), constants_++),
                                 OnnxType::kFloat,
                                 shape.dims(),
                                 std::move(values),
                                 {}});
  return model_.initializers.back().name;
}

std::string LayerToOnnx::ints(std::vector<int64_t> values) {
  const auto count = static_cast<int64_t>(values.size());
  model_.initializers.push_back(
      {fmt::format("{}/constant{}", param().name(), constants_++), OnnxType::kInt64, {count}, {}, std::move(values)});
  return model_.initializers.back().name;
}

std::string LayerToOnnx::fresh_name() { return fmt::format("{}:{}", param().name(), values_++); }

std::string LayerToOnnx::add(const std::string& type, const std::vector<std::string>& inputs,
                             std::vector<OnnxAttribute> attributes, size_t outputs) {
  OnnxNode node;
  node.type = type;
  const size_t number = model_.nodes.size() - first_node_;
  node.name = number == 0 ? param().name() : fmt::format("{}/{}{}", param().name(), type, number);
  node.inputs = inputs;
  for (size_t i = 0; i < outputs; ++i) node.outputs.push_back(fresh_name());
  node.attributes = std::move(attributes);
  model_.nodes.push_back(std::move(node));
  return model_.nodes.back().outputs[0];
}

// A copy of `value`, which may be an output that is renamed here.
// NOLINTNEXTLINE(performance-unnecessary-value-param)
void LayerToOnnx::set_top(int top, std::string value) {
  const std::string& name = tops_[static_cast<size_t>(top)].value;
  const bool own = value.starts_with(param().name() + ":");
  bool made = false;
  for (size_t i = first_node_; own && i < model_.nodes.size(); ++i) {
    for (std::string& input : model_.nodes[i].inputs) {
      if (input == value) input = name;
    }
    for (std::string& output : model_.nodes[i].outputs) {
      if (output != value) continue;
      output = name;
      made = true;
    }
  }
  if (made) return;
  add("Identity", {value});
  model_.nodes.back().outputs[0] = name;
}

std::string LayerToOnnx::reshape(const std::string& value, const OnnxDims& from, const OnnxDims& to) {
  if (from == to) return value;
  std::vector<int64_t> target = to;
  // One extent may be inferred; others of the batch must keep their position.
  auto unknown = std::count(target.begin(), target.end(), kBatchExtent);
  for (size_t i = 0; i < target.size() && unknown > 1; ++i) {
    if (target[i] != kBatchExtent || i >= from.size() || from[i] != kBatchExtent) continue;
    target[i] = 0;
    --unknown;
  }
  if (unknown > 1) fail("several axes of its top depend on the size of the batch");
  return add("Reshape", {value, ints(target)});
}

std::string LayerToOnnx::transpose(const std::string& value, const std::vector<int64_t>& order) {
  return std::is_sorted(order.begin(), order.end()) ? value : add("Transpose", {value}, {{"perm", order}});
}

std::string LayerToOnnx::scaled(const std::string& value, double factor) {
  return factor == 1 ? value : add("Mul", {value, number(factor)});
}

std::string LayerToOnnx::shifted(const std::string& value, double term) {
  return term == 0 ? value : add("Add", {value, number(term)});
}

void LayerToOnnx::fail(const std::string& reason) const {
  throw config_error("layer \"{}\" ({}) has no counterpart in ONNX: {}", param().name(), param().type(), reason);
}

LayerTranslation find_translation(const std::string& type) {
  static const LayerTranslations all = [] {
    LayerTranslations made;
    add_convolutions(&made);
    add_poolings(&made);
    add_activations(&made);
    add_normalizations(&made);
    add_shape_layers(&made);
    add_products(&made);
    return made;
  }();
  const auto found = all.find(type);
  return found == all.end() ? nullptr : found->second;
}

}  // namespace trainer
