// Joins predictions and targets, and averages losses.
#include "layers/shared/element_targets.h"

#include "layers/shared/class_scores.h"

namespace trainer {

Value ElementTargets::mean(Value losses) const { return total(counted ? losses * counted : losses) / divisor; }

Value joined_targets(LayerContext& context, bool shared) {
  const Shape& shape = context.shape(0);
  Shape given = shape;
  if (shared && shape.rank() > 1 && context.shape(1).count() != shape.count()) given[1] = 1;
  if (shape.rank() == 0 || context.shape(1).count() != given.count())
    context.fail(
        "bottom",
        fmt::format("the inputs must have the same count: \"{}\" is {}, \"{}\" is {}", context.param().bottom(0),
                    shape.text(), context.param().bottom(1), context.shape(1).text()),
        shared ? "give one target for each prediction, or one for all channels of an item"
               : "give one target for each prediction");
  const Value targets = reshape(context.bottom(1), given);
  return given == shape ? targets : broadcast_to(targets, shape);
}

ElementTargets element_targets(LayerContext& context, bool shared) {
  const caffe::LossParameter& param = context.param().loss_param();
  ElementTargets result;
  result.x = context.bottom(0);
  result.targets = joined_targets(context, shared);
  const Shape& shape = result.x.shape();
  if (param.has_ignore_label())
    result.counted =
        1.0f - equal(sign(result.targets) * floor(abs(result.targets)), static_cast<float>(param.ignore_label()));
  LabelledScores elements;
  elements.outer = shape[0];
  elements.inner = shape.count(1);
  elements.counted = result.counted;
  result.divisor = loss_divisor(context, elements, normalization_mode(param, caffe::LossParameter::BATCH_SIZE));
  return result;
}

Value sigmoid_cross_entropy(Value x, Value targets) {
  const Value loss = softplus(-abs(x)) - x * (targets - greater_equal(x, 0.0f));
  return with_gradient(loss, {x}, [=](Value g) -> std::vector<Value> { return {(sigmoid(x) - targets) * g}; });
}

}  // namespace trainer
