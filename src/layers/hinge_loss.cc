// HingeLoss: L = 1 / N * sum of max(0, 1 + s * x) over all scores x, with s = -1 at the label and 1 elsewhere; norm L2
// squares each term. Bottom 0 holds the scores, (N, classes) or (N, ...), bottom 1 the N labels.
#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  Value x;
  const LabelledScores scores = labelled_rows(context, &x);
  const Value margins = relu(1.0f + x * (1.0f - 2.0f * scores.one_hot));
  const bool squared = context.param().hinge_loss_param().norm() == caffe::HingeLossParameter::L2;
  context.set_top(0, total(squared ? margins * margins : margins) / static_cast<float>(x.shape()[0]));
}

REGISTER_LAYER(hinge_loss, .type = "HingeLoss", .summary = "one-versus-all hinge loss, linear or squared",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "scores" type: "Input" top: "scores" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 4 } data_filler { value: 2 } } }
layer { name: "loss" type: "HingeLoss" bottom: "scores" bottom: "label" top: "loss" hinge_loss_param { norm: L2 } }
)",
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
