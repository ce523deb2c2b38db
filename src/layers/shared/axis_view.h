// Views of parameters that broadcast against a blob: the operands of a map must have equal ranks.
#pragma once

#include "layers/layer.h"

namespace trainer {

// A rank-1 value of extent C as a view (1, ..., C, ..., 1) of this rank, with C at `axis`.
Value along_axis(Value vector, int rank, int axis);

// The axes of bottom 0 that the second operand of Scale or Bias covers.
struct CoveredAxes {
  int first = 0;
  Shape shape;  // extents of the covered axes; rank 0: none
};

// For a learned blob: from `axis` and `num_axes` of the layer's message ("scale_param").
CoveredAxes covered_axes(LayerContext& context, const std::string& message, int axis, int num_axes);
// For a blob from bottom 1: from `axis` and the shape of bottom 1; fails if it does not match bottom 0.
CoveredAxes covered_by_bottom(LayerContext& context, const std::string& message, int axis);

// `value`, of shape covered.shape, as a view that broadcasts against a blob of this rank.
Value broadcast_view(Value value, const CoveredAxes& covered, int rank);

}  // namespace trainer
