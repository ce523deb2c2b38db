// RocAuc: the area under the receiver operating characteristic: the probability that an item of a class has a larger
// score than an item of another class. Equal scores count one half.
//   bottom 0   scores with the classes along axis (default 1), or one score for each item: the larger it is, the more
//              probable is class 1 of the classes 0 and 1. metric_param.input SCORES: several scores are compared as
//              their softmax; PROBABILITIES: as they are
//   bottom 1   labels, one for each element of the scores without the class axis; ignore_label does not count
//   top        names the results; its element is the number of items of the batch that count; optional
// In a test, the result NAME is the area of class 1 of two classes, or the mean of the areas of the classes, each
// against all others. A class without labels, or with all of them, has no area. A table has the areas of the classes if
// there are several scores. The area is NaN if no class has one, or if a score is NaN.
//
// All scores of a test stay in the memory of the host: 4 bytes * classes * items. Passes no gradient.
#include "layers/shared/class_ranking.h"

namespace trainer {
namespace {

double area(const std::vector<Tie>& ties) {
  double below = 0;  // pairs of a positive item and a negative one with a smaller score
  int64_t positives = 0, negatives = 0;
  for (const Tie& tie : ties) {
    below +=
        static_cast<double>(tie.negatives) * (static_cast<double>(positives) + static_cast<double>(tie.positives) / 2);
    positives += tie.positives;
    negatives += tie.negatives;
  }
  return below / (static_cast<double>(positives) * static_cast<double>(negatives));
}

void lower(LayerContext& context) { lower_ranking(context, "auc", area); }

REGISTER_LAYER(roc_auc, .type = "RocAuc", .summary = "the area under the ROC curve", .min_bottoms = 2, .max_bottoms = 2,
               .min_tops = 0, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "in" type: "Input" top: "scores" top: "label"
  input_param { shape { dim: 4 dim: 5 } shape { dim: 4 } } }
layer { name: "auc" type: "RocAuc" bottom: "scores" bottom: "label" }
)",
               .label_bottoms = {1}, .metric = true, .metric_fields = {"axis", "ignore_label", "input"});

}  // namespace
}  // namespace trainer
