// ImageData layers: image files named in a list.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/batch_feed.h"
#include "data/batch_stream.h"

namespace trainer {

// `layer` is of type ImageData. Throws config_error for wrong parameters, data_error for wrong files.
std::unique_ptr<BatchFeed> open_image_list_feed(const caffe::LayerParameter& layer, const StreamOptions& options,
                                                std::vector<std::string>& warnings);

}  // namespace trainer
