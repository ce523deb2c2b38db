// Standardization over axes, with its gradient in closed form.
//
// One pass computes mean and variance from the sums of x - s and of its square. The shift s is the mean of the first
// line of the averaged elements along the last axis. It is near the mean even if some of these elements are outliers,
// so the difference of the sums loses little precision.
#include "layers/shared/standardize.h"

namespace trainer {

Standardized standardize(Value x, const std::vector<int>& axes, float eps) {
  int64_t elements = 1;
  for (int axis : axes) elements *= x.shape()[axis];
  const float count = static_cast<float>(elements);
  Value line = x;
  for (int axis : axes)
    if (axis != axes.back()) line = slice(line, axis, 0, 1);
  const Value first = sum(line, {axes.back()}) / static_cast<float>(x.shape()[axes.back()]);
  const Value apart = x - first;
  const Value mean_apart = sum(apart, axes) / count;
  const Value mean = first + mean_apart;
  const Value variance = maximum(sum(apart * apart, axes) / count - mean_apart * mean_apart, 0.0f);
  const Value inverse = 1.0f / sqrt(variance + eps);
  const Value y = (x - mean) * inverse;
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
