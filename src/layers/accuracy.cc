// Accuracy: the fraction of predictions whose label is among the top_k best scores along `axis` (default 1).
//   bottom 0   scores, for example (N, C) or (N, C, H, W)
//   bottom 1   labels, one for each element of the scores without the class axis; ignore_label does not count
//   tops       the fraction for each top_k, a scalar; 0 if no label counts
//   last top   the fraction of the first top_k for each class (C), optional
// A score that equals the label's, or that is NaN, counts as better. Passes no gradient.
#include "layers/layer.h"
#include "layers/shared/class_scores.h"
#include "layers/shared/confusion_counts.h"

namespace trainer {
namespace {

// 1 where the label's rank is at most top_k, else 0. The label's own score counts: the best label has rank 1.
Value correct_in(LayerContext& context, const LabelledScores& scores, Value rank, uint32_t top_k) {
  if (top_k < 1 || static_cast<int64_t>(top_k) > scores.classes)
    context.fail("accuracy_param.top_k", fmt::format("top_k is {} and there are {} classes", top_k, scores.classes),
                 "top_k must be at least 1 and at most the number of classes");
  const Value correct = greater_equal(constant(context.graph(), Shape{}, static_cast<float>(top_k)), rank);
  return scores.counted ? correct * scores.counted : correct;
}

void lower(LayerContext& context) {
  const caffe::AccuracyParameter& param = context.param().accuracy_param();
  const std::optional<int> ignore = param.has_ignore_label() ? std::optional<int>(param.ignore_label()) : std::nullopt;
  const LabelledScores scores = labelled_scores(context, param.axis(), "accuracy_param.axis", ignore);
  std::vector<uint32_t> top_k(param.top_k().begin(), param.top_k().end());
  if (top_k.empty()) top_k = {1};
  const int fractions = static_cast<int>(top_k.size());
  if (context.tops() != fractions && context.tops() != fractions + 1)
    context.fail("top", fmt::format("{} tops for {} values of top_k", context.tops(), fractions),
                 "give a top for each top_k and, if wanted, one more for the fractions of the classes");

  const Value x = stop_gradient(context.bottom(0));
  const Value rank = sum(1.0f - greater(scores.at_label(x), x), {scores.axis});
  const Value counted = scores.count();
  for (int i = 0; i < fractions; ++i) {
    const Value correct = total(correct_in(context, scores, rank, top_k[static_cast<size_t>(i)]));
    context.set_top(i, correct / maximum(counted, 1.0f));
    // The labels of one item are not independent of each other.
    if (scores.inner == 1) {
      context.set_share(i, counted);
    } else {
      context.set_divisor(i, counted);
    }
  }

  if (context.tops() > fractions) {
    const std::vector<int> axes = axes_but(x.shape(), scores.axis);
    const Value members = scores.counted ? scores.one_hot * scores.counted : scores.one_hot;
    const Value correct = correct_in(context, scores, rank, top_k.front());
    const Value size = sum(members, axes);
    const Value share = sum(scores.one_hot * correct, axes) / maximum(size, 1.0f);
    context.set_top(fractions, reshape(share, Shape{scores.classes}));
    context.set_divisor(fractions, reshape(size, Shape{scores.classes}));
  }
  if (context.phase() == caffe::TEST && scores.classes <= kMostConfusionClasses)
    context.count([=] { return std::make_unique<ConfusionCounts>(scores.classes, ignore); },
                  {predicted_class(x, scores.axis), scores.labels});
}

REGISTER_LAYER(accuracy, .type = "Accuracy", .summary = "the fraction of correct predictions", .min_bottoms = 2,
               .max_bottoms = 2, .min_tops = 1, .max_tops = kAnyNumber, .lower = lower, .example = R"(
layer { name: "scores" type: "Input" top: "scores" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 4 } data_filler { value: 2 } } }
layer { name: "accuracy" type: "Accuracy" bottom: "scores" bottom: "label" top: "accuracy" top: "top2" top: "per_class"
  accuracy_param { top_k: 1 top_k: 2 } }
)",
               .label_bottoms = {1});

}  // namespace
}  // namespace trainer
