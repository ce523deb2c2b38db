// The registry of layer types, and functions that all rules share.
#include "layers/layer.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace trainer {
namespace {

std::vector<LayerType>& registry() {
  static std::vector<LayerType> types;
  return types;
}

}  // namespace

LayerRegistration::LayerRegistration(LayerType type) { registry().push_back(std::move(type)); }

const std::vector<const LayerType*>& layer_types() {
  static const std::vector<const LayerType*> sorted = [] {
    std::vector<const LayerType*> types;
    for (const LayerType& type : registry()) types.push_back(&type);
    std::sort(types.begin(), types.end(),
              [](const LayerType* a, const LayerType* b) { return std::strcmp(a->type, b->type) < 0; });
    return types;
  }();
  return sorted;
}

const LayerType* find_layer_type(const std::string& type) {
  for (const LayerType* candidate : layer_types())
    if (type == candidate->type) return candidate;
  return nullptr;
}

std::string subject_of(const caffe::LayerParameter& layer) {
  return fmt::format("layer \"{}\"", layer.name()) + (layer.type().empty() ? "" : fmt::format(" ({})", layer.type()));
}

void LayerContext::set_top(int i, Value value) {
  TRAINER_ASSERT(i >= 0 && i < top_count_);
  top_values_[static_cast<size_t>(i)] = value;
}

int LayerContext::canonical_axis(int axis, int rank, const std::string& field) {
  if (axis < -rank || axis >= rank) {
    if (rank == 0) fail(field, fmt::format("axis {} of a blob that has no axes", axis));
    fail(field, fmt::format("axis {} of a blob with {} {}", axis, rank, rank == 1 ? "axis" : "axes"),
         fmt::format("axes go from 0 to {}, or from -{} to -1 counted from the last", rank - 1, rank));
  }
  return axis < 0 ? axis + rank : axis;
}

}  // namespace trainer
