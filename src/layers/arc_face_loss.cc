// ArcFaceLoss: cross entropy of s * cos, with a margin m on the angle of the label (Deng et al., "ArcFace: Additive
// Angular Margin Loss for Deep Face Recognition", 2019). cos[k] is the cosine of the angle between an item and row k of
// the weights, s is `scale`, m is `margin`.
//   bottom 0  items (N, ...); their values are joined to x of D values
//   bottom 1  labels, one for each item
//   blobs     the weights (num_output, D)
//   top 0     L = -1 / N * sum of log softmax(s * c)[label], c = cos, but cos(angle + m) at the label, or
//             cos - m * sin(m), which is less, if angle + m is more than pi
//   top 1     s * cos without margin (N, num_output), optional: scores for Accuracy
#include <cmath>

#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

constexpr float kLeastSquare = 1e-12f;

Value unit_rows(Value x) { return x / sqrt(maximum(sum(x * x, {1}), kLeastSquare)); }

// The cosine of the label after the margin.
Value with_margin(Value cosine, float margin) {
  const Value sine = sqrt(maximum(1.0f - cosine * cosine, kLeastSquare));
  const Value moved = cosine * std::cos(margin) - sine * std::sin(margin);
  return select(greater(cosine, -std::cos(margin)), moved, cosine - margin * std::sin(margin));
}

void check(LayerContext& context) {
  const caffe::ArcFaceLossParameter& param = context.param().arc_face_loss_param();
  if (param.num_output() == 0)
    context.fail("arc_face_loss_param.num_output", "num_output is missing or 0", "give the number of classes");
  if (!(param.margin() >= 0 && param.margin() < 3.14159265f))
    context.fail("arc_face_loss_param.margin", fmt::format("margin is {}", param.margin()),
                 "it is an angle in radians, at least 0 and less than pi");
  if (!(param.scale() > 0))
    context.fail("arc_face_loss_param.scale", fmt::format("scale is {}", param.scale()), "it must be positive");
  if (context.shape(0).rank() < 2)
    context.fail("bottom[0]", fmt::format("bottom 0 \"{}\" is {}", context.param().bottom(0), context.shape(0).text()),
                 "items need an axis after the first");
}

void lower(LayerContext& context) {
  check(context);
  const caffe::ArcFaceLossParameter& param = context.param().arc_face_loss_param();
  const Shape& shape = context.shape(0);
  const int64_t items = shape[0], size = shape.count(1), classes = param.num_output();
  const LabelledScores labels = labelled_items(context, items, classes);
  const Value weights = context.parameter(Shape{classes, size}, &param.weight_filler());
  const Value x = unit_rows(reshape(context.bottom(0), Shape{items, size}));
  const Value cosines = matmul(x, unit_rows(weights), Value(), false, true);
  const Value c = select(labels.one_hot, with_margin(labels.at_label(cosines), param.margin()), cosines);
  const Value log_p = labels.at_label(log_softmax(param.scale() * c, 1));
  context.set_top(0, -total(log_p) / static_cast<float>(items));
  if (context.tops() > 1) context.set_top(1, param.scale() * cosines);
}

REGISTER_LAYER(arc_face_loss, .type = "ArcFaceLoss", .summary = "cross entropy of cosines with a margin on the angle",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 2, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 4 } data_filler { value: 2 } } }
layer { name: "loss" type: "ArcFaceLoss" bottom: "x" bottom: "label" top: "loss" top: "scores"
  arc_face_loss_param { num_output: 6 scale: 4 weight_filler { type: "xavier" } } }
)",
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
