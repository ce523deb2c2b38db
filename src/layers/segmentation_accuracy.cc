// SegmentationAccuracy: how the classes that are predicted for pixels agree with their labels. The prediction is the
// first class with the largest score. Of a class with TP pixels that have both its label and its prediction, the
// intersection over union (IoU) is TP / (predictions + labels - TP), and the accuracy is TP / labels.
//   bottom 0   scores with the classes along axis (default 1): (N, C, H, W)
//   bottom 1   labels, (N, H, W) or (N, 1, H, W); ignore_label does not count
//   top        names the results; its element is the number of pixels of the batch that count; optional
// In a test, the results are
//   NAME.mean_iou                 the mean IoU of the classes that occur as labels or predictions
//   NAME.frequency_weighted_iou   the mean IoU of the classes, weighted by the number of their labels
//   NAME.mean_accuracy            the mean accuracy of the classes that occur as labels
//   NAME.pixel_accuracy           the share of pixels whose label is predicted
// and a table of the classes, with NaN for a fraction over 0. If no pixel counts, all are NaN. Passes no gradient.
#include "layers/shared/class_counts.h"

namespace trainer {
namespace {

class SegmentationAccuracy : public ClassCounts {
 public:
  using ClassCounts::ClassCounts;

  MetricResult result() const override {
    ClassTable table;
    table.columns = {"iou", "accuracy"};
    double ious = 0, accuracies = 0, weighted = 0;
    int64_t occurring = 0, with_labels = 0, labels = 0, hits = 0;
    for (const ClassCount& c : classes()) {
      const int64_t either = c.predicted + c.labelled - c.hits;
      const double iou = share_of(c.hits, either), accuracy = share_of(c.hits, c.labelled);
      table.cells.insert(table.cells.end(), {iou, accuracy});
      if (either > 0) ious += iou, ++occurring;
      if (c.labelled > 0) accuracies += accuracy, weighted += iou * static_cast<double>(c.labelled), ++with_labels;
      labels += c.labelled;
      hits += c.hits;
    }
    MetricResult result;
    result.values = {{"mean_iou", ious / static_cast<double>(occurring)},
                     {"frequency_weighted_iou", weighted / static_cast<double>(labels)},
                     {"mean_accuracy", accuracies / static_cast<double>(with_labels)},
                     {"pixel_accuracy", share_of(hits, labels)}};
    result.items = labels;
    result.table = std::move(table);
    return result;
  }
};

void lower(LayerContext& context) {
  const MetricScores scores = metric_scores(context);
  const int64_t classes = scores.labelled.classes;
  context.count([=] { return std::make_unique<SegmentationAccuracy>(classes); }, class_counts(scores));
}

REGISTER_LAYER(segmentation_accuracy, .type = "SegmentationAccuracy",
               .summary = "intersection over union and accuracy of pixels", .min_bottoms = 2, .max_bottoms = 2,
               .min_tops = 0, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "in" type: "Input" top: "scores" top: "label"
  input_param { shape { dim: 2 dim: 5 dim: 3 dim: 4 } shape { dim: 2 dim: 1 dim: 3 dim: 4 } } }
layer { name: "pixels" type: "SegmentationAccuracy" bottom: "scores" bottom: "label"
  metric_param { ignore_label: 255 } }
)",
               .label_bottoms = {1}, .metric = true, .metric_fields = {"axis", "ignore_label"});

}  // namespace
}  // namespace trainer
