// Data layers: Datum records of a database, decoded, transformed, put into place.
#pragma once

#include <memory>
#include <string>

#include "data/batch_feed.h"
#include "data/batch_stream.h"
#include "data/feeds/picture_feed.h"
#include "data/pictures/image_decoder.h"
#include "data/records/record_source.h"

namespace trainer {

// Throws data_error or config_error as the kind of database does.
std::unique_ptr<RecordSource> open_database(caffe::DataParameter::DB backend, const std::string& path,
                                            const LogLine& log);

// For records that are serialised Datum messages: raw values or an image file.
std::unique_ptr<RecordDecoder> make_datum_decoder(ColorMode mode);

// `layer` is of type Data. Throws config_error for wrong parameters, data_error for a wrong database; appends
// to `warnings` what the layer asks for and does not get.
std::unique_ptr<BatchFeed> open_datum_feed(const caffe::LayerParameter& layer, const StreamOptions& options,
                                           std::vector<std::string>& warnings);

}  // namespace trainer
