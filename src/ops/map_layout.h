// How the operands and outputs of a map lie over its domain: what a device needs to walk it.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/map.h"
#include "tensor/shape.h"

namespace trainer {

// Elements between neighbours along each axis of the domain; 0 where the tensor is broadcast or reduced.
std::vector<int64_t> domain_strides(const TensorDesc& desc, const Shape& domain);

// A stream is an integer that is linear in the domain's coordinates: the offset of an operand's or output's element,
// a coordinate, the logical index. Streams are the operands in sequence, the outputs, and then the others.
struct MapLayout {
  MapLayout(const MapBody& body, const std::vector<TensorDesc>& inputs, const std::vector<TensorDesc>& outputs);

  int of_output(size_t output) const { return operands + static_cast<int>(output); }

  int operands;
  std::vector<std::vector<int64_t>> strides;  // of each stream, along the domain's axes
  std::vector<int> of_node;                   // the streams of leaves but constants; -1 for other nodes
  // That of most full operands and outputs, by bytes; on a tie channels-last.
  MemoryFormat order = MemoryFormat::kRowMajor;
};

// The domain's axes in physical sequence, those of extent 1 dropped and neighbours joined where every stream allows it.
struct MapDims {
  MapDims(const Shape& domain, MemoryFormat order, const std::vector<std::vector<int64_t>>& strides_by_axis);

  std::vector<int64_t> extents;               // at least one, outermost first
  std::vector<std::vector<int64_t>> strides;  // of each stream
};

}  // namespace trainer
