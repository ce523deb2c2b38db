// Mean images: `mean.binaryproto`, one BlobProto.
#pragma once

#include <string>
#include <vector>

#include "tensor/shape.h"

namespace trainer {

struct MeanImage {
  Shape shape;  // C,H,W
  std::vector<float> data;
};

// Reads the legacy form (num=1, channels, height, width) or the shape form (1,C,H,W or C,H,W).
MeanImage read_mean_file(const std::string& path);
// Writes the legacy form, as Caffe's compute_image_mean does. An existing file is kept and is a data_error.
void write_mean_file(const std::string& path, const MeanImage& mean);

}  // namespace trainer
