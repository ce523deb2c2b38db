// The strides of a map's operands and outputs over its domain: a device uses them to iterate the map.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/map.h"
#include "tensor/shape.h"

namespace trainer {

// Elements between neighbours along each axis of the domain; 0 for axes along which the tensor is broadcast or reduced.
std::vector<int64_t> domain_strides(const TensorDesc& desc, const Shape& domain);

// A stream is an integer that is linear in the domain's coordinates: the offset of an operand's or output's element,
// a coordinate, or the logical index. The streams are the operands in sequence, then the outputs, then the others.
struct MapLayout {
  MapLayout(const MapBody& body, const std::vector<TensorDesc>& inputs, const std::vector<TensorDesc>& outputs);

  int of_output(size_t output) const { return operands + static_cast<int>(output); }

  int operands;
  std::vector<std::vector<int64_t>> strides;  // by stream: strides along the domain's axes
  std::vector<int> of_node;                   // by node: the stream of a leaf; -1 for constants and functions
  // The order of most bytes of full-size operands and outputs; channels-last on a tie.
  MemoryFormat order = MemoryFormat::kRowMajor;
};

// The domain's axes in physical sequence, without axes of extent 1; neighbours are joined if the strides of every
// stream allow it.
struct MapDims {
  MapDims(const Shape& domain, MemoryFormat order, const std::vector<std::vector<int64_t>>& strides_by_axis);

  std::vector<int64_t> extents;               // at least one, outermost first
  std::vector<std::vector<int64_t>> strides;  // by stream
};

}  // namespace trainer
