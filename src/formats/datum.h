// Datum records of LMDB and LevelDB databases, parsed in place without the generated message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {

// A parsed record. `bytes` is a view into the record. Exactly one of `bytes` and `float_data` has the image; the record
// is empty if both are.
struct DatumView {
  int32_t channels = 0, height = 0, width = 0;  // 0 in most encoded records
  std::string_view bytes;                       // C,H,W pixels (color: B, G, R planes), or an image file if `encoded`
  std::vector<float> float_data;                // C,H,W
  int32_t label = 0;
  bool encoded = false;
};

// Parses into `out` and reuses its memory. A damaged record, or a raw record whose payload does not have channels *
// height * width values, is a data_error with the byte offset and the numbers; the caller adds file and key.
void parse_datum(std::string_view record, DatumView& out);

// Only the label. Throws data_error for a damaged record.
int32_t datum_label(std::string_view record);

// A raw record: `pixels` has channels * height * width bytes. `encoded` = false is written explicitly, as Caffe's
// converters do.
std::string serialize_datum(int32_t channels, int32_t height, int32_t width, std::string_view pixels, int32_t label);
std::string serialize_datum(int32_t channels, int32_t height, int32_t width, const std::vector<float>& values,
                            int32_t label);
// A record with an image file (encoded = true, no extents).
std::string serialize_encoded_datum(std::string_view file, int32_t label);

}  // namespace trainer
