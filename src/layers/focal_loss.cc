// FocalLoss: cross entropy in which easy items count less (Lin et al., "Focal Loss for Dense Object Detection", 2017).
// With probability: SOFTMAX, as in the forks of Caffe:
//   bottom 0  scores, for example (N, C) or (N, C, H, W); p is their softmax along softmax_param.axis (default 1)
//   bottom 1  labels, one for each element of the scores without the class axis
//   top       L = -1 / Z * sum of alpha * (1 - p[label])^gamma * log p[label] over the labels that are not ignore_label
// loss_param.normalization sets Z as in SoftmaxWithLoss, by default to the number of labels that count.
// With probability: SIGMOID, as in torchvision's sigmoid_focal_loss:
//   bottom 0  scores x of any shape; p = sigmoid(x)
//   bottom 1  as many targets t: 0, 1 or between
//   top       L = 1 / Z * sum of (alpha * t + (1 - alpha) * (1 - t)) * (1 - q)^gamma * SigmoidCrossEntropyLoss(x, t),
//             q = p * t + (1 - p) * (1 - t)
// loss_param sets ignored targets and Z as in SigmoidCrossEntropyLoss, by default to the first extent.
#include <cfloat>

#include "layers/shared/class_scores.h"
#include "layers/shared/element_targets.h"

namespace trainer {
namespace {

// miss^gamma, for a miss of at least 0; its derivative is finite for every gamma.
Value focus(Value miss, float gamma) { return power(maximum(miss, FLT_MIN), gamma); }

void lower_softmax(LayerContext& context, float alpha, float gamma) {
  constexpr const char* kAxis = "softmax_param.axis";
  const caffe::LossParameter& param = context.param().loss_param();
  const int axis = context.canonical_axis(context.param().softmax_param().axis(), context.shape(0).rank(), kAxis);
  const auto ignore = param.has_ignore_label() ? std::optional<int>(param.ignore_label()) : std::nullopt;
  const LabelledScores scores = labelled_scores(context, axis, kAxis, ignore);
  const Value log_p = scores.at_label(log_softmax(context.bottom(0), axis));
  Value loss = -alpha * (focus(-expm1(log_p), gamma) * log_p);
  if (scores.counted) loss = loss * scores.counted;
  context.set_top(0,
                  total(loss) / loss_divisor(context, scores, normalization_mode(param, caffe::LossParameter::VALID)));
}

void lower_sigmoid(LayerContext& context, float alpha, float gamma) {
  if (alpha > 1)
    context.fail("focal_loss_param.alpha", fmt::format("alpha is {}", alpha),
                 "with probability: SIGMOID it must be at most 1");
  const ElementTargets elements = element_targets(context);
  const Value p = sigmoid(elements.x), t = stop_gradient(elements.targets);
  const Value weight = alpha * t + (1 - alpha) * (1.0f - t);
  const Value miss = p * (1.0f - t) + (1.0f - p) * t;
  context.set_top(0, elements.mean(weight * focus(miss, gamma) * sigmoid_cross_entropy(elements.x, t)));
}

void lower(LayerContext& context) {
  const caffe::FocalLossParameter& param = context.param().focal_loss_param();
  if (!(param.alpha() >= 0))
    context.fail("focal_loss_param.alpha", fmt::format("alpha is {}", param.alpha()), "it must be 0 or more");
  if (!(param.gamma() >= 0))
    context.fail("focal_loss_param.gamma", fmt::format("gamma is {}", param.gamma()), "it must be 0 or more");
  const bool by_sigmoid = param.probability() == caffe::FocalLossParameter::SIGMOID;
  (by_sigmoid ? lower_sigmoid : lower_softmax)(context, param.alpha(), param.gamma());
}

REGISTER_LAYER(focal_loss, .type = "FocalLoss", .summary = "cross entropy that weighs down easy items",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "scores" type: "Input" top: "scores" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 4 } data_filler { value: 2 } } }
layer { name: "loss" type: "FocalLoss" bottom: "scores" bottom: "label" top: "loss" softmax_param { axis: 1 }
  focal_loss_param { alpha: 0.25 gamma: 2 } }
)",
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
