// EuclideanLoss: L = sum of (a - b)^2 / (2 N), N the first extent. The bottoms have the same first extent and the same
// number of elements; both may take a gradient.
#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const Shape& a = context.shape(0);
  const Shape& b = context.shape(1);
  if (a.rank() == 0 || b.rank() == 0 || a[0] != b[0] || a.count(1) != b.count(1))
    context.fail("bottom",
                 fmt::format("the inputs must have the same dimension: \"{}\" is {}, \"{}\" is {}",
                             context.param().bottom(0), a.text(), context.param().bottom(1), b.text()),
                 "both must have the same first extent and the same number of elements");
  const Value difference = context.bottom(0) - reshape(context.bottom(1), a);
  context.set_top(0, total(difference * difference) / (2 * static_cast<float>(a[0])));
}

REGISTER_LAYER(euclidean_loss, .type = "EuclideanLoss", .summary = "half the mean squared distance", .min_bottoms = 2,
               .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "loss" }
)",
               .loss = true);

}  // namespace
}  // namespace trainer
