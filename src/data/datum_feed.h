// Data layers: Datum records of a database, decoded, transformed, put into place.
#pragma once

#include <memory>
#include <string>

#include "data/batch_feed.h"
#include "data/batch_stream.h"

namespace trainer {

// `layer` is of type Data. Throws config_error for wrong parameters, data_error for a wrong database; appends
// to `warnings` what the layer asks for and does not get.
std::unique_ptr<BatchFeed> open_datum_feed(const caffe::LayerParameter& layer, const StreamOptions& options,
                                           std::vector<std::string>& warnings);

}  // namespace trainer
