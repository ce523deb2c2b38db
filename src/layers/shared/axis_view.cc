// The axes that a scale or bias covers, and views that broadcast it.
#include "layers/shared/axis_view.h"

namespace trainer {

Value along_axis(Value vector, int rank, int axis) {
  std::vector<int64_t> dims(static_cast<size_t>(rank), 1);
  dims[static_cast<size_t>(axis)] = vector.shape().count();
  return reshape(vector, Shape(dims));
}

CoveredAxes covered_axes(LayerContext& context, const std::string& message, int axis, int num_axes) {
  const Shape& input = context.shape(0);
  if (num_axes < -1)
    context.fail(message + ".num_axes", fmt::format("num_axes is {}", num_axes),
                 "num_axes counts axes; 0 means one number for all, -1 all axes from axis on");
  if (num_axes == 0) return {};
  const int first = context.canonical_axis(axis, input.rank(), message + ".axis");
  if (num_axes > input.rank() - first)
    context.fail(message + ".num_axes", fmt::format("{} axes from axis {} on, but \"{}\" ({}) has {}", num_axes, first,
                                                    context.param().bottom(0), input.text(), input.rank()));
  const int end = num_axes == -1 ? input.rank() : first + num_axes;
  return {first, Shape(std::vector<int64_t>(input.dims().begin() + first, input.dims().begin() + end))};
}

CoveredAxes covered_by_bottom(LayerContext& context, const std::string& message, int axis) {
  const Shape& input = context.shape(0);
  const Shape& operand = context.shape(1);
  if (operand.rank() == 0) return {};
  const int first = context.canonical_axis(axis, input.rank(), message + ".axis");
  bool fits = first + operand.rank() <= input.rank();
  for (int i = 0; fits && i < operand.rank(); ++i) fits = input[first + i] == operand[i];
  if (!fits)
    context.fail("bottom",
                 fmt::format("dimension mismatch: bottom 1 \"{}\" is {}, bottom 0 \"{}\" is {}",
                             context.param().bottom(1), operand.text(), context.param().bottom(0), input.text()),
                 fmt::format("the shape of bottom 1 must be that of bottom 0 from axis {} on", first));
  return {first, operand};
}

Value broadcast_view(Value value, const CoveredAxes& covered, int rank) {
  if (covered.shape.rank() == 0) return value;
  std::vector<int64_t> dims(static_cast<size_t>(rank), 1);
  for (int i = 0; i < covered.shape.rank(); ++i) dims[static_cast<size_t>(covered.first + i)] = covered.shape[i];
  return reshape(value, Shape(dims));
}

}  // namespace trainer
