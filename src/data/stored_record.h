// The records of a data set as they are stored: decoded, but before a layer resizes, crops or scales them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/pictures/pixel_view.h"

namespace trainer {

// The views are valid until the reader that gave them reads or claims again.
struct StoredRecord {
  struct Label {
    size_t top;  // of the layer
    std::span<const float> values;
  };

  PixelView pixels;       // channels in the order blue, green, red
  std::string_view file;  // the image file that was decoded; empty for raw values
  ItemShape item;         // of the layer, after its resizing and transformation
  std::vector<Label> labels;
  PixelView mask;  // the class of each pixel; without pixels if there is none
};

// The reader of one thread.
class StoredReader {
 public:
  virtual ~StoredReader() = default;
  // Claims records [first, first + count) of the data set. One thread at a time calls claim(); ascending records are
  // cheap.
  virtual void claim(uint64_t first, uint64_t count) = 0;
  // Reads claimed record i. Throws data_error, without the position, for a record that the layer cannot use.
  virtual StoredRecord read(uint64_t i) = 0;
  // As FeedWorker::describe().
  virtual std::string describe(uint64_t i) const = 0;
};

}  // namespace trainer
