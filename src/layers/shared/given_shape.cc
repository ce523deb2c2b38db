// Applies check_shape to fields and tops.
#include "layers/shared/given_shape.h"

namespace trainer {

Shape given_shape(LayerContext& context, const caffe::BlobShape& shape, const std::string& field) {
  const Shape result(std::vector<int64_t>(shape.dim().begin(), shape.dim().end()));
  const std::string problem = check_shape(result);
  if (!problem.empty()) context.fail(field, problem, kShapeRemedy);
  return result;
}

void check_top(LayerContext& context, int top, const Shape& shape) {
  const std::string problem = check_shape(shape);
  if (problem.empty()) return;
  const std::string name = top < context.param().top_size() ? context.param().top(top) : "";
  context.fail(fmt::format("top[{}]", top), fmt::format("top \"{}\": {}", name, problem), kShapeRemedy);
}

}  // namespace trainer
