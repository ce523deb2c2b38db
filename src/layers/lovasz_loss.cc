// LovaszLoss: the mean over classes of a convex extension of the Jaccard loss, 1 - intersection over union (Berman et
// al., "The Lovasz-Softmax loss", 2018).
//   bottom 0  probabilities p (N, C, ...), from Softmax
//   bottom 1  labels (N, ...), one for each position; positions of loss_param.ignore_label do not count
//   top       the mean over `classes` of sum over k of e[k] * (J[k] - J[k - 1]); with per_image its mean over the items
// e are the errors |t - p| of a class in descending order, t is 1 at positions of this class. J[k] is the Jaccard loss
// if exactly the positions of the k largest errors are predicted wrong. The gradient is that of this order.
//
// The errors are sorted in host memory, also on a GPU.
#include <algorithm>
#include <cmath>

#include "layers/layer.h"
#include "layers/shared/class_scores.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

// A set of positions whose errors are sorted together: whole items, one after the other.
struct Positions {
  const float *p, *labels;  // of the first item
  float* gradient;          // likewise
  int64_t items, classes, inner;
  std::optional<int> ignore;

  bool counts(int64_t i) const { return !ignore || labels[i] != static_cast<float>(*ignore); }
  // The index in p of position i, counted over all items.
  int64_t at(int64_t i, int64_t c) const { return (i / inner * classes + c) * inner + i % inner; }
};

struct ErrorAt {
  float error;
  int64_t position;
};

// The loss of class c, NaN if a probability is NaN; sets the gradients of its probabilities, times `weight`.
double class_loss(const Positions& set, int64_t c, float weight, std::vector<ErrorAt>& errors) {
  errors.clear();
  double members = 0;
  for (int64_t i = 0; i < set.items * set.inner; ++i) {
    if (!set.counts(i)) continue;
    const bool member = set.labels[i] == static_cast<float>(c);
    const float error = std::fabs((member ? 1 : 0) - set.p[set.at(i, c)]);
    if (std::isnan(error)) return error;
    members += member;
    errors.push_back({error, i});
  }
  std::stable_sort(errors.begin(), errors.end(), [](const ErrorAt& a, const ErrorAt& b) { return a.error > b.error; });
  double loss = 0, last = 0, intersection = members, others = 0;
  for (const ErrorAt& error : errors) {
    const bool member = set.labels[error.position] == static_cast<float>(c);
    (member ? intersection : others) += member ? -1 : 1;
    const double jaccard = 1 - intersection / (members + others);
    const double step = jaccard - last;
    last = jaccard;
    loss += static_cast<double>(error.error) * step;
    const int64_t at = set.at(error.position, c);
    const float sign = member ? (set.p[at] < 1 ? -1 : 1) : (set.p[at] < 0 ? -1 : 1);
    set.gradient[at] = error.error == 0 ? 0 : weight * sign * static_cast<float>(step);
  }
  return loss;
}

// The mean of the losses of classes. Gradients of other classes stay as they are.
double mean_loss(const Positions& set, bool all, float weight) {
  std::vector<int64_t> chosen;
  for (int64_t c = 0; c < set.classes; ++c) {
    bool present = all;
    for (int64_t i = 0; !present && i < set.items * set.inner; ++i)
      present = set.counts(i) && set.labels[i] == static_cast<float>(c);
    if (present) chosen.push_back(c);
  }
  if (chosen.empty()) return 0;
  const float share = 1 / static_cast<float>(chosen.size());
  std::vector<double> losses(chosen.size());
#pragma omp parallel
  {
    std::vector<ErrorAt> errors;
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < chosen.size(); ++i) losses[i] = class_loss(set, chosen[i], weight * share, errors);
  }
  double sum = 0;
  for (double loss : losses) sum += loss;
  return sum * static_cast<double>(share);
}

// p, labels -> the loss, its gradient with respect to p.
class Lovasz : public OpaqueOp {
 public:
  Lovasz(const LabelledScores& scores, std::optional<int> ignore, const caffe::LovaszLossParameter& param)
      : items_(scores.outer),
        classes_(scores.classes),
        inner_(scores.inner),
        ignore_(ignore),
        all_(param.classes() == caffe::LovaszLossParameter::ALL),
        per_image_(param.per_image()) {}

  std::string name() const override { return "lovasz"; }

  void run(std::span<const float* const> inputs, std::span<float* const> outputs, uint64_t) const override {
    std::fill_n(outputs[1], items_ * classes_ * inner_, 0.0f);
    const int64_t sets = per_image_ ? items_ : 1, items = items_ / sets;
    double loss = 0;
    for (int64_t s = 0; s < sets; ++s) {
      const int64_t first = s * items * inner_;
      const Positions set{inputs[0] + first * classes_,
                          inputs[1] + first,
                          outputs[1] + first * classes_,
                          items,
                          classes_,
                          inner_,
                          ignore_};
      loss += mean_loss(set, all_, 1 / static_cast<float>(sets));
    }
    outputs[0][0] = static_cast<float>(loss / static_cast<double>(sets));
  }

  std::vector<Value> gradient(const std::vector<Value>&, const std::vector<Value>& outputs,
                              const std::vector<Value>& output_gradients) const override {
    return {outputs[1] * output_gradients[0], Value()};
  }

 private:
  const int64_t items_, classes_, inner_;
  const std::optional<int> ignore_;
  const bool all_, per_image_;
};

void lower(LayerContext& context) {
  const Shape& shape = context.shape(0);
  if (shape.rank() < 2 || shape[1] < 2)
    context.fail("bottom[0]", fmt::format("bottom 0 \"{}\" is {}", context.param().bottom(0), shape.text()),
                 "axis 1 holds the probabilities of 2 or more classes, for example from Softmax");
  const caffe::LossParameter& loss = context.param().loss_param();
  const auto ignore = loss.has_ignore_label() ? std::optional<int>(loss.ignore_label()) : std::nullopt;
  const LabelledScores scores = labelled_scores(context, 1, "bottom[0]", ignore);
  const auto op = std::make_shared<Lovasz>(scores, ignore, context.param().lovasz_loss_param());
  if (!context.param().lovasz_loss_param().per_image())
    context.mixes_records("per_image is false: it ranks the errors of the whole batch");
  context.set_top(0, opaque(context.graph(), op, {context.bottom(0), context.bottom(1)}, {Shape{}, shape}).front());
}

REGISTER_LAYER(lovasz_loss, .type = "LovaszLoss", .summary = "a convex extension of 1 - intersection over union",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 4 dim: 5 } } }
layer { name: "label" type: "DummyData" top: "label"
  dummy_data_param { shape { dim: 2 dim: 4 dim: 5 } data_filler { value: 1 } } }
layer { name: "p" type: "Softmax" bottom: "x" top: "p" }
layer { name: "loss" type: "LovaszLoss" bottom: "p" bottom: "label" top: "loss" lovasz_loss_param { classes: ALL } }
)",
               .loss = true, .label_bottoms = {1});

}  // namespace
}  // namespace trainer
