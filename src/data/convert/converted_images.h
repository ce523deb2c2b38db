// The images of a list as records, converted by several threads and taken in order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/convert/ordered_results.h"
#include "data/feeds/image_list.h"
#include "data/pictures/pixel_view.h"

namespace trainer {

enum class ImageStorage {
  kPlanes,      // the pixels, C x H x W
  kPixelDatum,  // the same in a Datum
  kFileDatum,   // an image file in a Datum: as it is, unless it is resized, turned gray or of another type
  kExactDatum,  // the same; also converted if a Data layer decodes it to other pixels than ImageData
};

struct ImageForm {
  ImageStorage storage = ImageStorage::kPixelDatum;
  bool gray = false;
  int resize_height = 0, resize_width = 0;  // both or neither
  // Of image files: "jpg", "png". "": that of the file; kExactDatum converts to PNG.
  std::string encode_type;
  bool masks = false;
};

// Throws config_error for extents or a type that no image can take.
void check_form(const ImageForm& form);

struct ConvertedImage {
  uint64_t index = 0;  // in the list
  ItemShape shape;
  std::string bytes;  // by ImageForm::storage
  std::string mask;   // H x W
  // The reason why the image cannot be read; then all but `index` is undefined.
  std::string problem;
};

// The order of `count` images; `shuffle` always gives the same random one. Throws data_error for more than 2^32 - 1.
std::vector<uint32_t> image_order(uint64_t count, bool shuffle);

// 0 threads: one for each core. The list and the order must outlive the result. next() throws config_error for an
// image that cannot take the form.
std::unique_ptr<OrderedResults<ConvertedImage>> convert_in_order(const ImageList& list,
                                                                 const std::vector<uint32_t>& order, uint64_t first,
                                                                 const ImageForm& form, int threads);

}  // namespace trainer
