// SoftmaxWithLoss: the mean of -log p[label], p the softmax of the scores along softmax_param.axis (default 1).
//   bottom 0  scores, for example (N, C) or (N, C, H, W)
//   bottom 1  labels, one for each element of the scores without the class axis
//   top 0     L = -1 / Z * sum of log(max(p[label], FLT_MIN)) over the labels that are not loss_param.ignore_label
//   top 1     p, optional
// loss_param.normalization sets Z: VALID (default) the number of labels that count, FULL the number of all labels,
// BATCH_SIZE the product of the extents before the class axis, NONE 1. The gradient is (p - onehot) / Z, and 0 at
// ignored labels.
#include <cfloat>

#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::LossParameter& param = context.param().loss_param();
  const std::optional<int> ignore = param.has_ignore_label() ? std::optional<int>(param.ignore_label()) : std::nullopt;
  const LabelledScores scores =
      labelled_scores(context, context.param().softmax_param().axis(), "softmax_param.axis", ignore);
  const Value x = context.bottom(0);
  const Value probabilities = softmax(x, scores.axis);
  const Value divisor = loss_divisor(context, scores, normalization_mode(param, caffe::LossParameter::VALID));

  Value surprise = -log(maximum(scores.at_label(probabilities), FLT_MIN));
  if (scores.counted) surprise = surprise * scores.counted;
  const Value loss = total(surprise) / divisor;
  context.set_top(0, with_gradient(loss, {x}, [=](Value g) -> std::vector<Value> {
                    const Value difference = (probabilities - scores.one_hot) * (g / divisor);
                    return {scores.counted ? difference * scores.counted : difference};
                  }));
  if (context.tops() > 1) context.set_top(1, probabilities);
}

REGISTER_LAYER(softmax_with_loss, .type = "SoftmaxWithLoss",
               .summary = "the cross entropy of scores and integer labels", .min_bottoms = 2, .max_bottoms = 2,
               .min_tops = 1, .max_tops = 2, .lower = lower, .example = R"(
layer { name: "scores" type: "Input" top: "scores" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 4 } data_filler { value: 2 } } }
layer {
  name: "loss" type: "SoftmaxWithLoss" bottom: "scores" bottom: "label" top: "loss"
  softmax_param { axis: 1 }
}
)",
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
