// What the layers over class scores have in common: an axis of classes, a label for each of the other
// elements, and a divisor of the loss.
//
// Scores of shape S have the classes along one axis; labels come one for each element of S without that axis,
// and are seen through a view with extent 1 there.
#pragma once

#include <optional>

#include "layers/layer.h"

namespace trainer {

// e^x / sum of e^x along `axis`, computed about the largest. The gradient is y * (g - sum of g * y).
Value softmax(Value x, int axis);

struct LabelledScores {
  int axis = 0;
  int64_t classes = 0, outer = 0, inner = 0;  // extents of, before and after the class axis
  Value labels;                               // the view, extent 1 at `axis`
  Value one_hot;                              // shape of the scores: 1 at the label
  Value counted;  // like labels: 0 where the label is the ignored one; empty where none is ignored

  // The score at the label, of the shape of `labels`; 0 where the label is no class.
  Value at_label(Value scores) const;
};

// Bottom 0 holds the scores, bottom 1 the labels; checks that there are as many as needed and that they are
// classes. `axis_field` names the field that gave `axis`.
LabelledScores labelled_scores(LayerContext& context, int axis, const std::string& axis_field,
                               std::optional<int> ignore_label);
// The same where all that follows the first axis of bottom 0 are classes: the scores are `scores`, (N,
// classes).
LabelledScores labelled_rows(LayerContext& context, Value* scores);

// The divisor Z of a loss by loss_param, at least 1: a constant, or the number of labels counted.
Value loss_divisor(LayerContext& context, const LabelledScores& scores, caffe::LossParameter::NormalizationMode mode);
// loss_param.normalization, or what the older field `normalize` stands for, or `fallback`.
caffe::LossParameter::NormalizationMode normalization_mode(const caffe::LossParameter& param,
                                                           caffe::LossParameter::NormalizationMode fallback);

// All elements summed to a rank-0 value.
Value total(Value x);

}  // namespace trainer
