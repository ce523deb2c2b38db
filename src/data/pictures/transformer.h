// Caffe's data transformer with the steps of augment before it: writes pixels straight into a row of the batch.
//
//   out[c, h, w] = (pixel[c, y(h), x(w)] - mean) * scale
//
// The steps choose y and x (picture_steps.h). The mean image is read at the position before the crop. Crops are random
// in phase TRAIN and centred in TEST; mirroring is random in both, as in Caffe. The draws are a pure function of (key,
// epoch, position in the epoch).
#pragma once

#include <cstdint>

#include "data/pictures/picture_mean.h"
#include "data/pictures/picture_steps.h"

namespace trainer {

class Transformer {
 public:
  // For the transform_param of the context's layer, in which check_transform() found no error. Reports an unreadable
  // mean file.
  explicit Transformer(SourceContext& context);

  // The extents of an item after all steps. Throws data_error (without a position) if crop_size, mean_file or
  // mean_value do not fit it.
  ItemShape output_shape(const ItemShape& item) const;

  // Writes output_shape(pixels.shape).count() floats. Call output_shape() for `pixels` first. Thread-safe.
  void apply(const PixelView& pixels, uint64_t epoch, uint64_t position, MemoryFormat order, float* out) const;

  int64_t memory_bytes() const { return mean_.memory_bytes(); }

 private:
  PictureSteps steps_;
  PictureMean mean_;
  float scale_;
};

}  // namespace trainer
