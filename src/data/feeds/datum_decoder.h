// Reads serialised Datum messages: raw values or an image file.
#pragma once

#include <memory>

#include "data/feeds/picture_feed.h"
#include "data/pictures/image_decoder.h"

namespace trainer {

std::unique_ptr<RecordDecoder> make_datum_decoder(ColorMode mode);

}  // namespace trainer
