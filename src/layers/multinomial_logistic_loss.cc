// MultinomialLogisticLoss: L = -1 / N * sum of log(max(p, 1e-20)), p the probability at the label. Bottom 0 holds
// probabilities, (N, classes) or (N, ...), bottom 1 the N labels. The gradient at the label is -1 / (N * max(p,
// 1e-20)), also for p below 1e-20.
#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

constexpr float kLeast = 1e-20f;

void lower(LayerContext& context) {
  Value probabilities;
  const LabelledScores scores = labelled_rows(context, &probabilities);
  const float count = static_cast<float>(probabilities.shape()[0]);
  const Value loss = total(-log(maximum(scores.at_label(probabilities), kLeast))) / count;
  context.set_top(0, with_gradient(loss, {probabilities}, [=](Value g) -> std::vector<Value> {
                    return {-(scores.one_hot * (g / count)) / maximum(probabilities, kLeast)};
                  }));
}

REGISTER_LAYER(multinomial_logistic_loss, .type = "MultinomialLogisticLoss",
               .summary = "the cross entropy of probabilities and labels", .min_bottoms = 2, .max_bottoms = 2,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "scores" type: "Input" top: "scores" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 4 } data_filler { value: 2 } } }
layer { name: "loss" type: "MultinomialLogisticLoss" bottom: "scores" bottom: "label" top: "loss" }
)",
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
