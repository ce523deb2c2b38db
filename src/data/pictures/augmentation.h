// The steps that a layer's transform_param lists in augment.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "data/pictures/steps/step.h"

namespace trainer {

// Reports errors in augment: steps, their order, and fields of Caffe that a step replaces.
void check_augment(SourceContext& context);

class Augmentation {
 public:
  // For a layer in which check_augment() found no error.
  explicit Augmentation(const SourceContext& context);

  // True if the layer lists no step.
  bool empty() const { return empty_; }
  // Extents of an item. Throws data_error (without a position) for a picture that a step does not support.
  ItemShape output_shape(ItemShape picture) const;
  void show(ItemColors& colors) const;
  // The part of a picture that apply() reads.
  PicturePart part(const ItemShape& picture, uint64_t epoch, uint64_t position) const;
  // The draws are a pure function of the key of each step, the epoch and the position in it. Thread-safe.
  void apply(Picture& picture, uint64_t epoch, uint64_t position) const;

 private:
  struct Step {
    std::unique_ptr<PictureStep> step;
    uint64_t key;
    std::optional<double> probability;  // that it acts on a picture; none: it always does
  };
  bool empty_;
  std::vector<Step> steps_;
};

}  // namespace trainer
