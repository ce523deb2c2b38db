// transform_param: turns a picture into an item, straight into a row of the batch. Either Caffe's data transformer
//
//   out[c, h, w] = (pixel[c, y(h), x(w)] - mean) * scale / std
//
// or the steps of augment. Caffe's crops are random in phase TRAIN and centred in TEST, and its mirroring is random in
// both. The mean image is read at the position before the crop. All draws are a pure function of (key, epoch, position
// in the epoch).
#pragma once

#include <cstdint>
#include <vector>

#include "data/pictures/augmentation.h"
#include "data/pictures/crop_and_mirror.h"
#include "data/pictures/picture_mean.h"

namespace trainer {

// Reports errors in transform_param of a layer that reads pictures.
void check_transform(SourceContext& context);
// Warns of fields of transform_param that the layer's own message also has and that have no effect there.
void warn_of_moved_fields(SourceContext& context, const std::string& message, const std::vector<std::string>& fields);

// The extents of an item, as far as the layer's text gives them for a picture: 0 if unknown, as in `picture`.
ItemShape item_shape(const caffe::TransformationParameter& param, ItemShape picture);

// The colors of items that the steps of `augmentation`, or without steps the mean and the factors, have made.
ItemColors colors_of(const Augmentation& augmentation, const PictureMean& mean, const ChannelFactors& factors,
                     bool rgb);

// The mask of a picture and the place of its item: a float for each pixel of the item.
struct PictureMask {
  PixelView pixels;      // one channel, in the size of the picture
  uint8_t ignored = 0;   // the value of pixels outside the picture
  float* out = nullptr;  // nullptr: no mask
};

class Transformer {
 public:
  // For the transform_param of the context's layer, in which check_transform() found no error. Reports an unreadable
  // mean file.
  explicit Transformer(SourceContext& context);

  // The extents of an item after all steps. Throws data_error (without a position) if the picture does not fit
  // crop_size, a mean or a step.
  ItemShape output_shape(const ItemShape& item) const;

  // The part of a picture that apply() reads. Call output_shape() for the picture first.
  PicturePart part(const ItemShape& picture, uint64_t epoch, uint64_t position) const;

  // Writes output_shape(pixels.shape).count() floats. Call output_shape() for `pixels` first. Only the part() of pixels
  // is read. Thread-safe; `scratch` belongs to the calling thread.
  void apply(const PixelView& pixels, const PictureMask& mask, uint64_t epoch, uint64_t position, MemoryFormat order,
             Picture& scratch, float* out) const;

  ItemColors colors() const { return colors_of(augmentation_, mean_, factors_, rgb_); }
  int64_t memory_bytes() const { return mean_.memory_bytes(); }

 private:
  Augmentation augmentation_;
  CropAndMirror crop_;
  PictureMean mean_;
  ChannelFactors factors_;
  bool rgb_;
};

}  // namespace trainer
