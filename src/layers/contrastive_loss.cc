// ContrastiveLoss: L = 1 / (2 N) * the sum over pairs of d^2 for similar pairs and max(margin - d, 0)^2 for others,
// with d the distance of a and b. With legacy_version the second term is max(margin - d^2, 0).
//   bottoms  a, b (N, C), and N flags: a pair is similar if its flag is not 0
//
// The gradient of a is that of Caffe, and the gradient of b its negative: (a - b) / N for similar pairs; for others
// within the margin -(margin - d) / (d + 1e-4) * (a - b) / N, or with legacy_version -(a - b) / N.
#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

void check(LayerContext& context) {
  const Shape& a = context.shape(0);
  for (int i : {0, 1}) {
    const Shape& shape = context.shape(i);
    if (shape.rank() < 2 || shape.rank() > 4 || shape.count(2) != 1 || shape.count() != a.count() || shape[0] != a[0])
      context.fail(fmt::format("bottom[{}]", i),
                   fmt::format("\"{}\" is {}, \"{}\" is {}", context.param().bottom(0), a.text(),
                               context.param().bottom(1), context.shape(1).text()),
                   "both must be (N, C), followed only by extents of 1");
  }
  if (context.shape(2).count() != a[0])
    context.fail("bottom[2]", fmt::format("\"{}\" is {}", context.param().bottom(2), context.shape(2).text()),
                 fmt::format("give one flag for each of the {} pairs", a[0]));
}

void lower(LayerContext& context) {
  check(context);
  const caffe::ContrastiveLossParameter& param = context.param().contrastive_loss_param();
  const Shape rows{context.shape(0)[0], context.shape(0)[1]};
  const Value a = reshape(context.bottom(0), rows), b = reshape(context.bottom(1), rows);
  const Value flags = reshape(context.bottom(2), Shape{rows[0], 1});
  const Value similar = greater_equal(abs(flags), 1.0f);
  const float count = static_cast<float>(rows[0]);
  const bool legacy = param.legacy_version();

  const Value difference = a - b;
  const Value square = sum(difference * difference, {1});
  const Value distance = sqrt(square);
  const Value room = param.margin() - (legacy ? square : distance);
  const Value apart = legacy ? maximum(room, 0.0f) : maximum(room, 0.0f) * maximum(room, 0.0f);
  const Value loss = total(select(similar, square, apart)) / (2 * count);
  context.set_top(0, with_gradient(loss, {a, b}, [=](Value g) -> std::vector<Value> {
                    const Value push = legacy ? -greater(room, 0.0f) : -(maximum(room, 0.0f) / (distance + 1e-4f));
                    const Value one = constant(*g.graph(), Shape{}, 1);
                    const Value of_a = difference * (select(similar, one, push) * (g / count));
                    return {of_a, -of_a};
                  }));
}

REGISTER_LAYER(contrastive_loss, .type = "ContrastiveLoss",
               .summary = "pulls similar pairs together and pushes others apart", .min_bottoms = 3, .max_bottoms = 3,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "a" top: "b" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "similar" type: "DummyData" top: "similar" dummy_data_param { shape { dim: 4 } data_filler { value: 1 } } }
layer { name: "loss" type: "ContrastiveLoss" bottom: "a" bottom: "b" bottom: "similar" top: "loss" }
)",
               .loss = true, .label_bottoms = {2});

}  // namespace
}  // namespace trainer
