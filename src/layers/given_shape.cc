// Checking shapes from a net before anything is computed from them.
#include "layers/given_shape.h"

namespace trainer {

std::string check_shape(const Shape& shape) {
  if (shape.rank() > 32) return fmt::format("{} axes; a blob has at most 32", shape.rank());
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (shape[axis] < 1) return fmt::format("axis {} has extent {}", axis, shape[axis]);
  if (shape.count() > kMostElements)
    return fmt::format("{} are more than {} elements", shape.text(), kMostElements);
  return "";
}

Shape given_shape(LayerContext& context, const caffe::BlobShape& shape, const std::string& field) {
  const Shape result(std::vector<int64_t>(shape.dim().begin(), shape.dim().end()));
  const std::string problem = check_shape(result);
  if (!problem.empty())
    context.fail(field, problem,
                 "every extent must be at least 1, and the whole at most 2,147,483,647 elements");
  return result;
}

}  // namespace trainer
