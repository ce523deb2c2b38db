// Parses Datum records in place.
#include "formats/datum.h"

#include <cstring>

#include "base/error.h"
#include "formats/wire_reader.h"
#include "formats/wire_writer.h"

namespace trainer {
namespace {

constexpr uint32_t kChannels = 1, kHeight = 2, kWidth = 3, kData = 4, kLabel = 5, kFloatData = 6, kEncoded = 7;

void append_int(std::string& out, uint32_t field, int32_t value) {
  append_varint_field(out, field, static_cast<uint64_t>(int64_t{value}));
}

void append_extents(std::string& out, int32_t channels, int32_t height, int32_t width) {
  append_int(out, kChannels, channels);
  append_int(out, kHeight, height);
  append_int(out, kWidth, width);
}

// Calls `read` after each tag.
template <typename Read>
void for_each_field(std::string_view record, const Read& read) {
  WireReader reader(record);
  try {
    while (reader.next()) read(reader);
  } catch (const WireError& error) {
    throw data_error("a damaged record: {} at byte {} of {}", error.what(), error.offset(), record.size());
  }
}

void check_payload(const DatumView& datum) {
  if (datum.encoded) return;
  if (datum.channels < 0 || datum.height < 0 || datum.width < 0) {
    throw data_error("a record of {}x{}x{} (channels, height, width)", datum.channels, datum.height, datum.width);
  }
  int64_t expected = int64_t{datum.channels} * datum.height;
  if (__builtin_mul_overflow(expected, int64_t{datum.width}, &expected)) expected = -1;
  const int64_t found = static_cast<int64_t>(datum.bytes.empty() ? datum.float_data.size() : datum.bytes.size());
  if (found != expected) {
    throw data_error("a record of {}x{}x{} (channels, height, width) with {} {}", datum.channels, datum.height,
                     datum.width, found, datum.bytes.empty() && found > 0 ? "float values" : "bytes of pixels");
  }
}

}  // namespace

void parse_datum(std::string_view record, DatumView& out) {
  out.channels = out.height = out.width = out.label = 0;
  out.encoded = false;
  out.bytes = {};
  out.float_data.clear();
  for_each_field(record, [&](WireReader& reader) {
    const uint32_t field = reader.field();
    if (reader.type() == WireType::kVarint && field <= kEncoded && field != kData && field != kFloatData) {
      const uint64_t value = reader.varint();
      const auto number = static_cast<int32_t>(value);
      switch (field) {
        case kChannels: out.channels = number; break;
        case kHeight: out.height = number; break;
        case kWidth: out.width = number; break;
        case kLabel: out.label = number; break;
        case kEncoded: out.encoded = value != 0; break;
      }
    } else if (reader.is(kData, WireType::kBytes)) {
      out.bytes = reader.view(reader.length());
    } else if (field == kFloatData) {
      reader.append_floats(out.float_data);
    } else {
      reader.skip();
    }
  });
  check_payload(out);
}

int32_t datum_label(std::string_view record) {
  int32_t label = 0;
  for_each_field(record, [&](WireReader& reader) {
    if (reader.is(kLabel, WireType::kVarint)) {
      label = static_cast<int32_t>(reader.varint());
    } else {
      reader.skip();
    }
  });
  return label;
}

std::string serialize_datum(int32_t channels, int32_t height, int32_t width, std::string_view pixels, int32_t label) {
  TRAINER_ASSERT(static_cast<int64_t>(pixels.size()) == int64_t{channels} * height * width);
  std::string out;
  out.reserve(pixels.size() + 48);
  append_extents(out, channels, height, width);
  append_bytes_field(out, kData, pixels);
  append_int(out, kLabel, label);
  append_varint_field(out, kEncoded, 0);
  return out;
}

std::string serialize_datum(int32_t channels, int32_t height, int32_t width, const std::vector<float>& values,
                            int32_t label) {
  TRAINER_ASSERT(static_cast<int64_t>(values.size()) == int64_t{channels} * height * width);
  std::string out;
  out.reserve(values.size() * 5 + 48);
  append_extents(out, channels, height, width);
  append_int(out, kLabel, label);
  for (float value : values) {
    char bits[sizeof value];
    std::memcpy(bits, &value, sizeof value);
    append_varint(out, uint64_t{kFloatData} << 3 | 5);
    out.append(bits, sizeof bits);
  }
  append_varint_field(out, kEncoded, 0);
  return out;
}

std::string serialize_encoded_datum(std::string_view file, int32_t label) {
  std::string out;
  out.reserve(file.size() + 32);
  append_bytes_field(out, kData, file);
  append_int(out, kLabel, label);
  append_varint_field(out, kEncoded, 1);
  return out;
}

}  // namespace trainer
