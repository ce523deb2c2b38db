// TripletLoss: pulls anchors to positive items and pushes negative items away (Schroff et al., "FaceNet", 2015).
//   bottoms  anchors a, positive items p and negative items n, all (N, ...); and weights w (N), by default 1
//   top      L = 1 / (2 N) * sum of w * max(margin + |a - p|^2 - |a - n|^2, 0)
// Without `squared`, L = 1 / N * sum of w * max(margin + |a - p| - |a - n|, 0) with 1e-6 added to each difference, as
// in PyTorch's TripletMarginLoss.
#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

Value distance(Value a, Value b, bool squared) {
  const Value d = squared ? a - b : a - b + 1e-6f;
  const Value square = sum(d * d, {1});
  return squared ? square : sqrt(square);
}

void lower(LayerContext& context) {
  const caffe::TripletLossParameter& param = context.param().triplet_loss_param();
  const Shape& shape = context.shape(0);
  if (shape.rank() < 2)
    context.fail("bottom[0]", fmt::format("bottom 0 \"{}\" is {}", context.param().bottom(0), shape.text()),
                 "items need an axis after the first");
  for (int i = 1; i < context.bottoms(); ++i) {
    const bool good = i == 3 ? context.shape(i).count() == shape[0] : context.shape(i) == shape;
    if (good) continue;
    context.fail(fmt::format("bottom[{}]", i),
                 fmt::format("bottom {} \"{}\" is {}, but bottom 0 \"{}\" is {}", i, context.param().bottom(i),
                             context.shape(i).text(), context.param().bottom(0), shape.text()),
                 i == 3 ? "give a weight for each item" : "anchors, positive and negative items have the same shape");
  }
  const Shape rows{shape[0], shape.count(1)};
  const Value a = reshape(context.bottom(0), rows);
  const Value to_positive = distance(a, reshape(context.bottom(1), rows), param.squared());
  const Value to_negative = distance(a, reshape(context.bottom(2), rows), param.squared());
  Value loss = maximum(param.margin() + to_positive - to_negative, 0.0f);
  if (context.bottoms() == 4) loss = loss * stop_gradient(reshape(context.bottom(3), Shape{rows[0], 1}));
  context.set_top(0, total(loss) / static_cast<float>(param.squared() ? 2 * rows[0] : rows[0]));
}

REGISTER_LAYER(triplet_loss, .type = "TripletLoss",
               .summary = "pulls anchors to positive items and pushes negative ones away", .min_bottoms = 3,
               .max_bottoms = 4, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "anchor" top: "positive" top: "negative" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "loss" type: "TripletLoss" bottom: "anchor" bottom: "positive" bottom: "negative" top: "loss"
  triplet_loss_param { margin: 2 } }
)",
               .loss = true, .label_bottoms = {3});

}  // namespace
}  // namespace trainer
