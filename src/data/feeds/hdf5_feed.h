// HDF5Data layers: rows of datasets named like the tops.
#pragma once

#include <memory>

#include "data/batch_feed.h"
#include "data/batch_stream.h"

namespace trainer {

// `layer` is of type HDF5Data. Throws config_error for wrong parameters, data_error for wrong files.
std::unique_ptr<BatchFeed> open_hdf5_feed(const caffe::LayerParameter& layer, const StreamOptions& options);

}  // namespace trainer
