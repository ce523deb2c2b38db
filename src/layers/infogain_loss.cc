// InfogainLoss: L = -1 / Z * sum over predictions and classes l of H[label, l] * log(max(p_l, 1e-20)), p the softmax of
// bottom 0 along `axis` (default 1). Bottom 1 holds the labels; H (classes, classes) is bottom 2, or the BlobProto file
// `source`. Top 1, optional: p. Z as in SoftmaxWithLoss.
//
// The gradient is (p_l * sum over k of H[label, k] - H[label, l]) / Z, and 0 at ignored labels.
#include <algorithm>

#include "base/error.h"
#include "formats/blob_file.h"
#include "layers/layer.h"
#include "layers/shared/class_scores.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

constexpr float kLeast = 1e-20f;

// A matrix read from a file.
class FileMatrix : public OpaqueOp {
 public:
  explicit FileMatrix(std::vector<float> data) : data_(std::move(data)) {}
  std::string name() const override { return "infogain_matrix"; }
  void run(std::span<const float* const>, std::span<float* const> outputs, uint64_t) const override {
    std::copy(data_.begin(), data_.end(), outputs[0]);
  }

 private:
  const std::vector<float> data_;
};

Value infogain_matrix(LayerContext& context, int64_t classes) {
  const std::string remedy = fmt::format("it needs {0} x {0} elements, a row for each label", classes);
  if (context.bottoms() > 2) {
    if (context.shape(2).count() != classes * classes)
      context.fail("bottom[2]", fmt::format("\"{}\" is {}", context.param().bottom(2), context.shape(2).text()),
                   remedy);
    return stop_gradient(reshape(context.bottom(2), Shape{classes, classes}));
  }
  const std::string& source = context.param().infogain_loss_param().source();
  if (source.empty())
    context.fail("infogain_loss_param", "the infogain matrix is missing",
                 "give it as bottom 2, or name a BlobProto file: infogain_loss_param { source: ... }");
  WeightBlob blob;
  try {
    blob = read_blob_file(source, "infogain matrix");
  } catch (const Error& error) {
    context.fail("infogain_loss_param.source", error.what());
  }
  if (blob.shape.count() != classes * classes)
    context.fail("infogain_loss_param.source", fmt::format("the matrix of {} is {}", source, blob.shape.text()),
                 remedy);
  return opaque(context.graph(), std::make_shared<FileMatrix>(std::move(blob.data)), {}, {Shape{classes, classes}})
      .front();
}

// H[label, .] along the class axis; has the shape of the scores.
Value rows_of_labels(const LabelledScores& scores, Value matrix) {
  const Shape& shape = scores.one_hot.shape();
  const Shape by_place{scores.outer, scores.classes, scores.inner},
      by_class{scores.outer * scores.inner, scores.classes};
  const Value one_hot = reshape(permute(reshape(scores.one_hot, by_place), {0, 2, 1}), by_class);
  const Value rows =
      reshape(matmul(one_hot, matrix, Value(), false, false), Shape{scores.outer, scores.inner, scores.classes});
  return reshape(permute(rows, {0, 2, 1}), shape);
}

void lower(LayerContext& context) {
  const caffe::LossParameter& param = context.param().loss_param();
  if (param.has_normalize())
    context.fail("loss_param.normalize", "normalize is deprecated", "use normalization: VALID or BATCH_SIZE");
  const std::optional<int> ignore = param.has_ignore_label() ? std::optional<int>(param.ignore_label()) : std::nullopt;
  const LabelledScores scores =
      labelled_scores(context, context.param().infogain_loss_param().axis(), "infogain_loss_param.axis", ignore);
  const Value x = context.bottom(0);
  Value rows = rows_of_labels(scores, infogain_matrix(context, scores.classes));
  if (scores.counted) rows = rows * scores.counted;
  const Value probabilities = softmax(x, scores.axis);
  const Value divisor = loss_divisor(context, scores, normalization_mode(param, caffe::LossParameter::VALID));
  const Value loss = total(-(rows * log(maximum(probabilities, kLeast)))) / divisor;
  context.set_top(0, with_gradient(loss, {x}, [=](Value g) -> std::vector<Value> {
                    return {(probabilities * sum(rows, {scores.axis}) - rows) * (g / divisor)};
                  }));
  if (context.tops() > 1) context.set_top(1, probabilities);
}

REGISTER_LAYER(infogain_loss, .type = "InfogainLoss", .summary = "cross entropy weighted by a matrix of classes",
               .min_bottoms = 2, .max_bottoms = 3, .min_tops = 1, .max_tops = 2, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 5 } } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 4 } data_filler { value: 2 } } }
layer { name: "h" type: "Input" top: "h" input_param { shape { dim: 5 dim: 5 } } }
layer { name: "loss" type: "InfogainLoss" bottom: "x" bottom: "label" bottom: "h" top: "loss" }
)",
               .loss = true, .label_bottoms = {1, 2});

}  // namespace
}  // namespace trainer
