// crop_size and mirror of transform_param: Caffe's results, with one draw for both.
#pragma once

#include "data/pictures/sampling.h"

namespace trainer {

struct CropAndMirror {
  int64_t crop = 0;          // the side of a square; 0: none
  bool random_crop = false;  // otherwise the centre
  bool mirror = false;
  uint64_t key = 0;
  size_t mirror_word = 0;  // the word of the draw that decides whether to mirror

  // Throws data_error if the picture is smaller than the crop.
  ItemShape output_shape(const ItemShape& picture) const;
  // The pixels of a picture that it selects, for the record at this position of this epoch.
  Sampling sample(const ItemShape& picture, uint64_t epoch, uint64_t position) const;
};

}  // namespace trainer
