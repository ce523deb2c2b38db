// The steps that a layer's transform_param lists in augment, then crop_size and mirror.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/pictures/steps/crop_and_mirror.h"
#include "data/pictures/steps/step.h"

namespace trainer {

// Reports errors in transform_param of a layer that reads pictures.
void check_transform(SourceContext& context);
// Warns of fields of transform_param that the layer's own message also has and that have no effect there.
void warn_of_moved_fields(SourceContext& context, const std::string& message, const std::vector<std::string>& fields);

class PictureSteps {
 public:
  PictureSteps(const SourceContext& context, const CropAndMirror& last);

  // Extents of a picture after the steps of augment, and from these after the last step.
  ItemShape augmented_shape(ItemShape picture) const;
  ItemShape cropped_shape(const ItemShape& augmented) const { return last_.output_shape(augmented); }

  struct Samplings {
    Sampling of_picture;
    Sampling of_augmented;  // of the result of augment
  };
  Samplings sample(const ItemShape& picture, uint64_t epoch, uint64_t position) const;

 private:
  std::vector<std::unique_ptr<PictureStep>> augment_;
  CropAndMirror last_;
};

}  // namespace trainer
