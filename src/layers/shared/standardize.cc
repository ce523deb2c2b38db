// Standardization over axes, with its gradient in closed form.
//
// One pass computes mean and variance from the sums of x - s and of its square. The shift s is the mean of the first
// line of the averaged elements along the last axis. It is near the mean even if some of these elements are outliers,
// so the difference of the sums loses little precision.
//
// The shift of several ranks is the mean of theirs, so that the sums of all ranks can be added.
#include "layers/shared/standardize.h"

#include <utility>

#include "ops/rank_sums.h"

namespace trainer {
namespace {

// Means over axes, of the elements of this device or of all ranks.
class Means {
 public:
  Means(std::vector<int> axes, float count, std::shared_ptr<RankSums> ranks)
      : axes_(std::move(axes)), count_(count), ranks_(std::move(ranks)) {}

  // One shift for all ranks, from that of this one. Comes first.
  Value joint_shift(Value own) {
    if (!ranks_) return own;
    const std::vector<Value> sums = sum_over_ranks(ranks_, {own, constant(*own.graph(), Shape{}, count_)});
    joint_count_ = sums[1];
    return sums[0] / static_cast<float>(ranks_->ranks());
  }
  // Of a and of a * b.
  std::vector<Value> sums(Value a, Value b) const {
    std::vector<Value> sums{sum(a, axes_), sum(a * b, axes_)};
    return ranks_ ? sum_over_ranks(ranks_, sums) : sums;
  }
  Value mean(Value sum) const { return ranks_ ? sum / joint_count_ : sum / count_; }
  Value joint_count() const { return joint_count_; }

 private:
  const std::vector<int> axes_;
  const float count_;
  const std::shared_ptr<RankSums> ranks_;
  Value joint_count_;
};

}  // namespace

Standardized standardize(Value x, const std::vector<int>& axes, float eps, const std::shared_ptr<RankSums>& ranks) {
  int64_t elements = 1;
  for (int axis : axes) elements *= x.shape()[axis];
  const float count = static_cast<float>(elements);
  Value line = x;
  for (int axis : axes)
    if (axis != axes.back()) line = slice(line, axis, 0, 1);
  Means means(axes, count, ranks);
  const Value shift = means.joint_shift(sum(line, {axes.back()}) / static_cast<float>(x.shape()[axes.back()]));
  const Value apart = x - shift;
  const std::vector<Value> sums = means.sums(apart, apart);
  const Value mean_apart = means.mean(sums[0]);
  const Value mean = shift + mean_apart;
  const Value variance = maximum(means.mean(sums[1]) - mean_apart * mean_apart, 0.0f);
  const Value inverse = 1.0f / sqrt(variance + eps);
  const Value y = (x - mean) * inverse;
  const Value marked = with_gradient(y, {x}, [=](Value g) -> std::vector<Value> {
    const std::vector<Value> of_g = means.sums(g, y);
    const Value mean_g = means.mean(of_g[0]);
    const Value mean_gy = means.mean(of_g[1]);
    return {(g - mean_g - y * mean_gy) * inverse};
  });
  return {marked, mean, variance, count, means.joint_count()};
}

void check_eps(LayerContext& context, const std::string& message, float eps) {
  if (!(eps >= 0))
    context.fail(message + ".eps", fmt::format("eps is {}", eps),
                 "it is added to the variance: give a small positive number");
}

}  // namespace trainer
