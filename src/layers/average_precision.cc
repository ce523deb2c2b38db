// AveragePrecision: the area under the curve of precision over recall, AP = sum of (R_n - R_(n-1)) * P_n, with the
// precision P_n and recall R_n of the items whose score of the class is at least the n-th largest, as in scikit-learn.
//   bottom 0   scores with the classes along axis (default 1), or one score for each item: the larger it is, the more
//              probable is class 1 of the classes 0 and 1. metric_param.input SCORES: several scores are compared as
//              their softmax; PROBABILITIES: as they are
//   bottom 1   labels, one for each element of the scores without the class axis; ignore_label does not count
//   top        names the results; its element is the number of items of the batch that count; optional
// In a test, the result NAME is the average precision of class 1 of two classes, or the mean over the classes that
// occur as labels, each against all others. A table has those of the classes if there are several scores. The result is
// NaN if no class has one, or if a score is NaN.
//
// All scores of a test stay in the memory of the host: 4 bytes * classes * items. Passes no gradient.
#include "layers/shared/class_ranking.h"

namespace trainer {
namespace {

double average_precision(const std::vector<Tie>& ties) {
  double sum = 0;
  int64_t positives = 0, items = 0;
  for (const Tie& tie : ties) {
    positives += tie.positives;
    items += tie.positives + tie.negatives;
    sum += static_cast<double>(tie.positives) * static_cast<double>(positives) / static_cast<double>(items);
  }
  return sum / static_cast<double>(positives);
}

void lower(LayerContext& context) { lower_ranking(context, "average_precision", average_precision); }

REGISTER_LAYER(average_precision, .type = "AveragePrecision", .summary = "the area under the precision-recall curve",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 0, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "in" type: "Input" top: "score" top: "label"
  input_param { shape { dim: 4 dim: 1 } shape { dim: 4 } } }
layer { name: "precision" type: "AveragePrecision" bottom: "score" bottom: "label" }
)",
               .label_bottoms = {1}, .metric = true, .metric_fields = {"axis", "ignore_label", "input"});

}  // namespace
}  // namespace trainer
