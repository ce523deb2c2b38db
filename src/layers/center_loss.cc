// CenterLoss: L = 1 / (2 N) * sum of |x - c[label]|^2, c the centers of the classes (Wen et al., "A Discriminative
// Feature Learning Approach for Deep Face Recognition", 2016).
//   bottom 0  items; the axes from `axis` on are an item x of D values, the axes before it count N items
//   bottom 1  labels, one for each item
//   blobs     the centers (num_output, D)
// The gradient of a center is the sum of (c - x) over the n items of its class, divided by 1 + n: as in caffe-face, it
// does not depend on loss_weight, so lr_mult alone sets the rate of the centers.
#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

// A factor of the gradient of the loss; the other factors (loss scaling) apply to the centers too.
float loss_weight(const caffe::LayerParameter& param) {
  const float weight = param.loss_weight_size() > 0 ? param.loss_weight(0) : 1;
  return weight == 0 ? 1 : weight;
}

void lower(LayerContext& context) {
  const caffe::CenterLossParameter& param = context.param().center_loss_param();
  const Shape& shape = context.shape(0);
  if (param.num_output() == 0)
    context.fail("center_loss_param.num_output", "num_output is missing or 0", "give the number of classes");
  const int axis = context.canonical_axis(param.axis(), shape.rank(), "center_loss_param.axis");
  const int64_t items = shape.count(0, axis), size = shape.count(axis), classes = param.num_output();
  const Value one_hot = labelled_items(context, items, classes).one_hot;
  const Value x = reshape(context.bottom(0), Shape{items, size});
  const Value centers = context.parameter(Shape{classes, size}, &param.center_filler());
  const Value difference = x - matmul(one_hot, centers, Value(), false, false);
  const float count = static_cast<float>(items), weight = loss_weight(context.param());
  const Value loss = total(difference * difference) / (2 * count);
  context.set_top(0, with_gradient(loss, {x, centers}, [=](Value g) -> std::vector<Value> {
                    const Value pull = matmul(one_hot, difference, Value(), true, false);
                    const Value divisor = reshape(1.0f + sum(one_hot, {0}), Shape{classes, 1});
                    return {difference * (g / count), -pull / divisor * (g / weight)};
                  }));
}

REGISTER_LAYER(center_loss, .type = "CenterLoss", .summary = "pulls items to the learned center of their class",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 4 } data_filler { value: 2 } } }
layer { name: "loss" type: "CenterLoss" bottom: "x" bottom: "label" top: "loss"
  center_loss_param { num_output: 6 center_filler { type: "xavier" } } }
)",
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
