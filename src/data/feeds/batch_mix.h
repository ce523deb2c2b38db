// MixUp and CutMix: each item of a batch, and its label, is mixed with the item before it; the first one with the last.
//
//   MixUp   item = keep * item + (1 - keep) * other
//   CutMix  a rectangle of the other item replaces that of the item; keep is the part of the area that stays
//   both    label = keep * label + (1 - keep) * other label, labels as a 1 at the class
//
// One `keep` for the whole batch, from Beta(a, a). Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR
// 2018; Yun et al., "CutMix", ICCV 2019; the formulas are those of torchvision.transforms.v2.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/batch_feed.h"
#include "data/pictures/draws.h"
#include "data/source_context.h"

namespace trainer {

// Reports errors in transform_param.mix. `names_classes`: the data set may give the number of classes.
void check_mix(SourceContext& context, bool names_classes);
// The shape of labels that are classes, as DataSource::labels: N, or N x classes for a mixed batch.
Shape class_labels(const caffe::LayerParameter& layer, caffe::Phase phase, const Shape& items, int64_t unknown);

// A draw from Beta(alpha, alpha).
double draw_beta(double alpha, Draws& draws);

// Rows y1 to y2 - 1 and columns x1 to x2 - 1 of each item.
struct CutBox {
  int64_t y1, x1, y2, x2;

  double kept_area(int64_t height, int64_t width) const;
};
// About a center, with 1 - keep of the area unless the border cuts it.
CutBox cut_box(double keep, int64_t center_y, int64_t center_x, int64_t height, int64_t width);

// Act on one top of a batch, in place and in either memory format.
void mix_rows(const BatchBuffer& batch, size_t top, double keep);
void cut_rows(const BatchBuffer& batch, size_t top, const CutBox& box);

class BatchMix {
 public:
  // Of a layer in which check_mix() found no error; nullopt if it does not mix. Reports an error if the number of
  // classes is unknown, or below that of the names.
  static std::optional<BatchMix> make(SourceContext& context, const std::vector<std::string>& class_names);

  int64_t classes() const { return classes_; }
  // Writes 1 at the class and 0 elsewhere. Throws data_error (without the record) for a label that is not a class.
  void write_label(float label, float* row) const;
  // Mixes both tops. The draws are a pure function of the epoch and the position of the first record. Thread-safe.
  void apply(const BatchBuffer& batch, uint64_t epoch, uint64_t position) const;

 private:
  BatchMix(const SourceContext& context, int64_t classes);

  double mixup_, cutmix_, probability_, cutmix_probability_;
  int64_t classes_;
  uint64_t key_;
};

}  // namespace trainer
