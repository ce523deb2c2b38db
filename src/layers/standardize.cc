// Standardization over axes, with its gradient in closed form.
#include "layers/standardize.h"

namespace trainer {

Standardized standardize(Value x, const std::vector<int>& axes, float eps) {
  int64_t elements = 1;
  for (int axis : axes) elements *= x.shape()[axis];
  const float count = static_cast<float>(elements);
  const Value mean = sum(x, axes) / count;
  const Value centered = x - mean;
  const Value variance = sum(centered * centered, axes) / count;
  const Value inverse = 1.0f / square_root(variance + eps);
  const Value y = centered * inverse;
  const Value marked = with_gradient(y, {x}, [=](Value g) -> std::vector<Value> {
    const Value mean_g = sum(g, axes) / count;
    const Value mean_gy = sum(g * y, axes) / count;
    return {(g - mean_g - y * mean_gy) * inverse};
  });
  return {marked, mean, variance, count};
}

void check_eps(LayerContext& context, const std::string& message, float eps) {
  if (!(eps >= 0))
    context.fail(message + ".eps", fmt::format("eps is {}", eps),
                 "it is added to the variance: give a small positive number");
}

}  // namespace trainer
