// Datum records of LMDB and LevelDB databases: parsed in place, without the generated message.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {

// A parsed record. `bytes` points into the record. Exactly one of `bytes` and `float_data` carries the
// picture; both empty means an empty record.
struct DatumView {
  int32_t channels = 0, height = 0, width = 0;  // 0 in most encoded records
  std::string_view bytes;         // C,H,W pixels (colour: B, G, R planes), or an image file where `encoded`
  std::vector<float> float_data;  // C,H,W
  int32_t label = 0;
  bool encoded = false;
};

// Parses into `out`, reusing its memory. A damaged record, or a raw one whose payload is not
// channels * height * width long, is a data_error that tells the byte and the numbers; the caller adds file
// and key.
void parse_datum(std::string_view record, DatumView& out);

// A raw record: `pixels` holds channels * height * width bytes. `encoded` is written explicitly as false, as
// Caffe's converters do.
std::string serialize_datum(int32_t channels, int32_t height, int32_t width, std::string_view pixels, int32_t label);
std::string serialize_datum(int32_t channels, int32_t height, int32_t width, const std::vector<float>& values,
                            int32_t label);
// An image file as it is (encoded = true, no extents).
std::string serialize_encoded_datum(std::string_view file, int32_t label);

}  // namespace trainer
