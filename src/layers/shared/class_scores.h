// Shared by the layers over class scores: an axis of classes, a label for each prediction, and a divisor of the loss.
//
// Scores of shape S have the classes along one axis. There is one label for each element of S without that axis; the
// view of the labels has extent 1 there.
#pragma once

#include <optional>

#include "layers/layer.h"

namespace trainer {

// e^x / sum of e^x along `axis`, computed with x minus its maximum. The gradient is y * (g - sum of g * y).
Value softmax(Value x, int axis);
// Its logarithm. The gradient is g - softmax(x) * sum of g.
Value log_softmax(Value x, int axis);

struct LabelledScores {
  int axis = 0;
  int64_t classes = 0, outer = 0, inner = 0;  // the class axis, and the products of the extents before and after it
  Value labels;                               // the view with extent 1 at `axis`
  Value one_hot;                              // of the shape of the scores: 1 at the label, 0 elsewhere
  Value counted;  // of the shape of `labels`: 0 at ignored labels, else 1; empty if no label is ignored

  // The score at the label, of the shape of `labels`; 0 if the label is not a class.
  Value at_label(Value scores) const;
  // The number of labels that count, of rank 0.
  Value count() const;
};

// Bottom 0 holds the scores, bottom 1 the labels. Checks the number of labels and requires them to be classes.
// `axis_field` is the field that holds `axis`.
LabelledScores labelled_scores(LayerContext& context, int axis, const std::string& axis_field,
                               std::optional<int> ignore_label);
// The same if all axes of bottom 0 after the first are classes; sets `scores` to bottom 0 as (N, classes).
LabelledScores labelled_rows(LayerContext& context, Value* scores);
// The same for scores (items, classes) that the layer computes from the items of bottom 0.
LabelledScores labelled_items(LayerContext& context, int64_t items, int64_t classes,
                              std::optional<int> ignore_label = std::nullopt);

// The divisor Z of the loss that is top 0, by the normalization mode: a constant, or the number of labels counted, at
// least 1. Tests of whole data sets divide by it too.
Value loss_divisor(LayerContext& context, const LabelledScores& scores, caffe::LossParameter::NormalizationMode mode);
// loss_param.normalization, or the mode that the older field `normalize` selects, or `fallback`.
caffe::LossParameter::NormalizationMode normalization_mode(const caffe::LossParameter& param,
                                                           caffe::LossParameter::NormalizationMode fallback);

// The sum of all elements, a rank-0 value.
Value total(Value x);

}  // namespace trainer
