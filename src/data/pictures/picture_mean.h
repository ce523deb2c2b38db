// The mean that transform_param subtracts from pictures (an image, values for the channels, or none), and the factors
// that it applies after that.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/pictures/sampling.h"
#include "data/source_context.h"
#include "formats/mean_file.h"

namespace trainer {

class PictureMean {
 public:
  // Reads the mean file; reports an error at the field if it cannot be read.
  explicit PictureMean(SourceContext& context);

  bool has_image() const { return !image_.data.empty(); }
  ItemShape image_shape() const { return {image_.shape[0], image_.shape[1], image_.shape[2]}; }
  // Throws data_error (without a position) if the number of values does not fit a picture, or the mean image has
  // another size.
  void check(const ItemShape& picture) const;
  // For an item whose pixels have these coordinates in the mean image.
  MeanView view(const Sampling& in_image) const;
  // A value, or one for each channel of the item; of a mean image their means. `rgb`: the item has the channels of the
  // image in reverse order.
  std::vector<float> values(bool rgb) const;
  int64_t memory_bytes() const { return static_cast<int64_t>(image_.data.size() * sizeof(float)); }

 private:
  std::string path_;
  MeanImage image_;
  std::vector<float> values_;
};

// scale / std_value for each channel.
class ChannelFactors {
 public:
  ChannelFactors(float scale, const caffe::TransformationParameter& param);
  // Throws data_error (without a position) if the number of values does not fit a picture.
  void check(const ItemShape& picture) const;
  const std::vector<float>& values() const { return factors_; }
  FactorView view() const { return {factors_.data(), factors_.size() == 1 ? 0 : 1}; }

 private:
  std::vector<float> factors_;
};

}  // namespace trainer
