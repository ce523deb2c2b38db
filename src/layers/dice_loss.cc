// DiceLoss: L = 1 - the mean of D over items and classes, D = (2 * sum of p * t + s) / (sum of p + sum of t + s), with
// sums over the positions of an item and s = smooth. With `squared` the divisor has p^2 and t^2 (Milletari et al.,
// "V-Net", 2016); with `batch` sums go over all items as well, and D is a value for each class.
//   bottom 0  probabilities p (N, C, ...), from Softmax or Sigmoid
//   bottom 1  labels (N, ...), one for each position, t is 1 at the class of the label; or as many targets t as p
// Positions whose label is loss_param.ignore_label do not count.
#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

struct Overlap {
  Value p, t;
};

Overlap probabilities_and_targets(LayerContext& context) {
  const caffe::LossParameter& param = context.param().loss_param();
  const Value p = context.bottom(0);
  if (p.shape().rank() > 1 && context.shape(1).count() == p.shape().count()) {
    if (param.has_ignore_label())
      context.fail("loss_param.ignore_label",
                   fmt::format("\"{}\" ({}) holds a target for each class, so no label can be ignored",
                               context.param().bottom(1), context.shape(1).text()),
                   "remove ignore_label, or give labels");
    return {p, stop_gradient(reshape(context.bottom(1), p.shape()))};
  }
  const auto ignore = param.has_ignore_label() ? std::optional<int>(param.ignore_label()) : std::nullopt;
  const LabelledScores scores = labelled_scores(context, 1, "bottom[0]", ignore);
  if (!scores.counted) return {p, scores.one_hot};
  return {p * scores.counted, scores.one_hot * scores.counted};
}

void lower(LayerContext& context) {
  const caffe::DiceLossParameter& param = context.param().dice_loss_param();
  if (!(param.smooth() >= 0))
    context.fail("dice_loss_param.smooth", fmt::format("smooth is {}", param.smooth()), "it must be 0 or more");
  const auto [p, t] = probabilities_and_targets(context);
  std::vector<int> axes;
  for (int axis = 0; axis < p.shape().rank(); ++axis)
    if (axis > 1 || (axis == 0 && param.batch())) axes.push_back(axis);
  if (axes.empty())
    context.fail("bottom[0]",
                 fmt::format("\"{}\" ({}) has no positions to add", context.param().bottom(0), p.shape().text()),
                 "give more axes after the classes, or set dice_loss_param { batch: true }");
  const Value sizes = param.squared() ? p * p + t * t : p + t;
  const Value dice = (2.0f * sum(p * t, axes) + param.smooth()) / (sum(sizes, axes) + param.smooth());
  context.set_top(0, 1.0f - total(dice) / static_cast<float>(dice.shape().count()));
}

REGISTER_LAYER(dice_loss, .type = "DiceLoss", .summary = "1 minus the overlap of probabilities and targets",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } } }
layer { name: "label" type: "DummyData" top: "label"
  dummy_data_param { shape { dim: 2 dim: 4 dim: 5 } data_filler { value: 1 } } }
layer { name: "p" type: "Softmax" bottom: "x" top: "p" }
layer { name: "loss" type: "DiceLoss" bottom: "p" bottom: "label" top: "loss" dice_loss_param { smooth: 1 } }
)",
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
