// KLDivergenceLoss: L = T^2 / Z * sum of q * (log q - log p), with p = softmax(x / T) and q = softmax(y / T) along
// `axis`, T the temperature (Hinton et al., "Distilling the Knowledge in a Neural Network", 2015).
//   bottom 0  scores x of the student, for example (N, C) or (N, C, H, W)
//   bottom 1  scores y of the teacher, of the same shape; they take no gradient
// loss_param.normalization sets Z as in SoftmaxWithLoss with soft labels: VALID (default) and FULL the number of
// predictions, BATCH_SIZE the product of the extents before the class axis, NONE 1.
#include "layers/layer.h"
#include "layers/shared/class_scores.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::KLDivergenceLossParameter& param = context.param().kl_divergence_loss_param();
  const Shape& shape = context.shape(0);
  const float temperature = param.temperature();
  if (!(temperature > 0))
    context.fail("kl_divergence_loss_param.temperature", fmt::format("temperature is {}", temperature),
                 "it must be positive");
  if (context.shape(1) != shape)
    context.fail("bottom[1]",
                 fmt::format("bottom 1 \"{}\" is {}, but bottom 0 \"{}\" is {}", context.param().bottom(1),
                             context.shape(1).text(), context.param().bottom(0), shape.text()),
                 "give the scores of teacher and student for the same classes");
  LabelledScores scores;
  scores.axis = context.canonical_axis(param.axis(), shape.rank(), "kl_divergence_loss_param.axis");
  scores.outer = shape.count(0, scores.axis);
  scores.inner = shape.count(scores.axis + 1);
  const Value log_p = log_softmax(context.bottom(0) / temperature, scores.axis);
  const Value log_q = log_softmax(stop_gradient(context.bottom(1)) / temperature, scores.axis);
  const auto mode = normalization_mode(context.param().loss_param(), caffe::LossParameter::VALID);
  const Value divergence = total(exp(log_q) * (log_q - log_p));
  context.set_top(0, divergence * (temperature * temperature) / loss_divisor(context, scores, mode));
}

REGISTER_LAYER(kl_divergence_loss, .type = "KLDivergenceLoss",
               .summary = "the divergence of a student's scores from a teacher's", .min_bottoms = 2, .max_bottoms = 2,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "student" top: "teacher" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "loss" type: "KLDivergenceLoss" bottom: "student" bottom: "teacher" top: "loss"
  kl_divergence_loss_param { temperature: 2 } }
)",
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
