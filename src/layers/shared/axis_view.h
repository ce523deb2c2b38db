// Parameters as views that broadcast against a blob: maps want operands of one rank.
#pragma once

#include "layers/layer.h"

namespace trainer {

// A rank-1 value of extent C as (1, ..., C, ..., 1) of this rank, C at `axis`.
Value along_axis(Value vector, int rank, int axis);

// The second operand of Scale and Bias: a blob that lies along some axes of bottom 0.
struct CoveredAxes {
  int first = 0;
  Shape shape;  // extents of the axes covered; rank 0 covers none
};

// From `axis` and `num_axes` of the layer's message ("scale_param"), for a learned blob.
CoveredAxes covered_axes(LayerContext& context, const std::string& message, int axis, int num_axes);
// From `axis` and the shape of bottom 1, which must fit.
CoveredAxes covered_by_bottom(LayerContext& context, const std::string& message, int axis);

// `value`, whose shape is covered.shape, as a view that broadcasts against a blob of this rank.
Value broadcast_view(Value value, const CoveredAxes& covered, int rank);

}  // namespace trainer
