// Caffe's data transformer: crop, mirror, mean, scale, from pixels straight into a row of the batch.
//
//   out[c, h, w'] = (pixel[c, h_off + h, w_off + w] - mean) * scale,   w' = mirrored ? crop_w - 1 - w : w
//
// The mean file is read at the uncropped place. Crops are random in phase TRAIN and centred in TEST;
// mirroring is random in both, as in Caffe. The draws are a pure function of (key, epoch, position in the
// epoch).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/shape.h"
#include "trainer.pb.h"

namespace trainer {

struct ItemShape {
  int64_t channels = 0;
  int64_t height = 0;
  int64_t width = 0;

  int64_t count() const { return saturating_product(saturating_product(channels, height), width); }
  bool operator==(const ItemShape& other) const {
    return channels == other.channels && height == other.height && width == other.width;
  }
  bool operator!=(const ItemShape& other) const { return !(*this == other); }
  std::string text() const;  // "3x32x32"
};

// One picture's values: planar (channels outermost) or interleaved (innermost), 8-bit or float.
struct PixelView {
  ItemShape shape;
  const uint8_t* bytes = nullptr;  // exactly one of the two is set
  const float* floats = nullptr;
  bool interleaved = false;
};

class Transformer {
 public:
  // Reads the mean file. `layer` names the layer in messages. Throws config_error for contradictory settings
  // and data_error for an unreadable mean file.
  Transformer(const caffe::TransformationParameter& param, caffe::Phase phase, uint64_t key, const std::string& layer);

  // What becomes of an item; throws data_error (without a place) where crop_size, mean_file or mean_value do
  // not fit it.
  ItemShape output_shape(const ItemShape& item) const;

  // Writes output_shape(pixels.shape).count() floats. `pixels` must have passed output_shape(). Safe from
  // several threads.
  void apply(const PixelView& pixels, uint64_t epoch, uint64_t position, MemoryFormat order, float* out) const;

  int64_t memory_bytes() const { return static_cast<int64_t>(mean_image_.size() * sizeof(float)); }

 private:
  int64_t crop_ = 0;
  bool mirror_ = false;
  bool random_crop_ = false;
  float scale_ = 1.0f;
  std::vector<float> mean_values_;
  std::vector<float> mean_image_;
  ItemShape mean_shape_;
  std::string mean_path_;
  std::string layer_;
  uint64_t key_;
};

}  // namespace trainer
