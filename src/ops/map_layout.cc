// The strides of streams along axes and along joined dimensions.
#include "ops/map_layout.h"

#include <algorithm>
#include <utility>

namespace trainer {
namespace {

std::vector<int> axes_in_order(const Shape& domain, MemoryFormat order) {
  std::vector<int> axes;
  for (int axis = 0; axis < domain.rank(); ++axis) axes.push_back(axis);
  if (order == MemoryFormat::kChannelsLast && domain.rank() >= 3)
    std::rotate(axes.begin() + 1, axes.begin() + 2, axes.end());
  axes.erase(std::remove_if(axes.begin(), axes.end(), [&](int axis) { return domain[axis] == 1; }), axes.end());
  return axes;
}

}  // namespace

std::vector<int64_t> domain_strides(const TensorDesc& desc, const Shape& domain) {
  std::vector<int64_t> strides(static_cast<size_t>(domain.rank()), 0);
  if (desc.shape.rank() == 0) return strides;
  const std::vector<int64_t> own = desc.strides();
  for (size_t axis = 0; axis < strides.size(); ++axis) {
    if (desc.shape[static_cast<int>(axis)] != 1) strides[axis] = own[axis];
  }
  return strides;
}

MapLayout::MapLayout(const MapBody& body, const std::vector<TensorDesc>& inputs, const std::vector<TensorDesc>& outputs)
    : operands(static_cast<int>(inputs.size())) {
  const Shape& domain = body.domain;
  auto add = [&](std::vector<int64_t> stream) {
    strides.push_back(std::move(stream));
    return static_cast<int>(strides.size()) - 1;
  };
  int64_t votes[2] = {0, 0};
  for (const std::vector<TensorDesc>* tensors : {&inputs, &outputs}) {
    for (const TensorDesc& desc : *tensors) {
      add(domain_strides(desc, domain));
      if (desc.shape == domain && !orders_coincide(domain)) votes[static_cast<int>(desc.order)] += size_of(desc.dtype);
    }
  }
  if (votes[1] > 0 && votes[1] >= votes[0]) order = MemoryFormat::kChannelsLast;

  std::vector<int> coordinate(static_cast<size_t>(domain.rank()), -1);
  int logical_index = -1;
  for (const MapNode& node : body.nodes) {
    int stream = -1;
    switch (node.fn) {
      case Fn::kInput: stream = node.a; break;
      case Fn::kIndex: {
        int& known = coordinate[static_cast<size_t>(node.a)];
        if (known < 0) {
          std::vector<int64_t> along(static_cast<size_t>(domain.rank()), 0);
          along[static_cast<size_t>(node.a)] = 1;
          known = add(std::move(along));
        }
        stream = known;
        break;
      }
      case Fn::kSegment:
      case Fn::kUniform:
      case Fn::kNormal:
        if (logical_index < 0) logical_index = add(TensorDesc{domain, DType::kF32, MemoryFormat::kRowMajor}.strides());
        stream = logical_index;
        break;
      default: break;
    }
    of_node.push_back(stream);
  }
}

MapDims::MapDims(const Shape& domain, MemoryFormat order, const std::vector<std::vector<int64_t>>& by_axis)
    : strides(by_axis.size()) {
  for (int axis : axes_in_order(domain, order)) {
    const int64_t extent = domain[axis];
    const size_t a = static_cast<size_t>(axis);
    bool joins = !extents.empty();
    for (size_t s = 0; joins && s < strides.size(); ++s) joins = strides[s].back() == by_axis[s][a] * extent;
    if (joins) {
      extents.back() *= extent;
    } else {
      extents.push_back(extent);
    }
    for (size_t s = 0; s < strides.size(); ++s) {
      if (joins) strides[s].pop_back();
      strides[s].push_back(by_axis[s][a]);
    }
  }
  if (!extents.empty()) return;
  extents.push_back(1);
  for (auto& stream : strides) stream.push_back(0);
}

}  // namespace trainer
