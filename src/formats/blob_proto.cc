// Reads and writes Caffe's BlobProto in wire format.
#include "formats/blob_proto.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>

#include "base/error.h"
#include "formats/element_type.h"
#include "formats/wire_reader.h"
#include "formats/wire_writer.h"

namespace trainer {
namespace {

// Field numbers of BlobProto.
enum : uint32_t {
  kNum = 1,
  kChannels = 2,
  kHeight = 3,
  kWidth = 4,
  kData = 5,
  kDiff = 6,
  kShape = 7,
  kDoubleData = 8,
  kDoubleDiff = 9,
  // From NVIDIA's fork, also written by OpenCV: values of one type, as bytes.
  kRawDataType = 10,
  kRawDiffType = 11,
  kRawData = 12,
  kRawDiff = 13
};
enum : uint64_t { kRawDouble = 0, kRawFloat = 1, kRawFloat16 = 2 };
constexpr uint32_t kShapeDim = 1;

// The number of elements, or -1 if it exceeds int64 or an extent is negative.
int64_t checked_count(const std::vector<int64_t>& dims) {
  int64_t count = 1;
  for (int64_t dim : dims) {
    if (dim < 0 || __builtin_mul_overflow(count, dim, &count)) return -1;
  }
  return count;
}

struct RawValues {
  uint64_t type = kRawDouble;
  std::string bytes;
};

std::vector<float> floats_of(const RawValues& raw, const WireReader& reader) {
  if (raw.type > kRawFloat16)
    throw WireError(
        reader.position(),
        fmt::format("its raw values have type {}; supported are 0 (double), 1 (float) and 2 (float16)", raw.type));
  const ElementType type = raw.type == kRawDouble  ? ElementType::kF64
                           : raw.type == kRawFloat ? ElementType::kF32
                                                   : ElementType::kF16;
  const auto bytes = static_cast<int64_t>(raw.bytes.size()), count = bytes / size_of(type);
  if (count * size_of(type) != bytes)
    throw WireError(reader.position(), fmt::format("{} bytes of raw values of {} bytes each", bytes, size_of(type)));
  std::vector<float> out(static_cast<size_t>(count));
  convert_to_floats(type, false, raw.bytes.data(), count, out.data());
  return out;
}

std::string shape_bytes(const Shape& shape) {
  std::string dims;
  for (int64_t dim : shape.dims()) append_varint(dims, static_cast<uint64_t>(dim));
  std::string out;
  if (!dims.empty()) append_bytes_field(out, kShapeDim, dims);
  return out;
}

}  // namespace

WeightBlob read_blob_proto(WireReader& reader) {
  WeightBlob blob;
  std::array<int64_t, 4> legacy{};
  std::vector<int64_t> dims;
  std::vector<float> double_data, double_diff;
  RawValues raw_data, raw_diff;
  while (reader.next()) {
    const uint32_t field = reader.field();
    if (field >= kNum && field <= kWidth && reader.type() == WireType::kVarint) {
      legacy[field - kNum] = static_cast<int32_t>(reader.varint());
      blob.legacy_shape = true;
    } else if (field == kData) {
      reader.append_floats(blob.data, kMostElements);
    } else if (field == kDiff) {
      reader.append_floats(blob.diff, kMostElements);
    } else if (field == kDoubleData) {
      reader.append_doubles(double_data, kMostElements);
    } else if (field == kDoubleDiff) {
      reader.append_doubles(double_diff, kMostElements);
    } else if (reader.is(kRawDataType, WireType::kVarint) || reader.is(kRawDiffType, WireType::kVarint)) {
      RawValues& raw = reader.field() == kRawDataType ? raw_data : raw_diff;
      raw.type = reader.varint();
    } else if (reader.is(kRawData, WireType::kBytes) || reader.is(kRawDiff, WireType::kBytes)) {
      RawValues& raw = reader.field() == kRawData ? raw_data : raw_diff;
      raw.bytes = reader.text(kMostElements * static_cast<int64_t>(sizeof(double)));
    } else if (reader.is(kShape, WireType::kBytes)) {
      const int64_t outer = reader.enter();
      while (reader.next()) {
        if (reader.field() == kShapeDim) {
          reader.append_int64s(dims);
        } else {
          reader.skip();
        }
        if (dims.size() > size_t{kMostAxes}) throw WireError(reader.position(), "a blob of more than 32 axes");
      }
      reader.leave(outer);
    } else {
      reader.skip();
    }
  }
  if (!double_data.empty()) blob.data = std::move(double_data);
  if (!double_diff.empty()) blob.diff = std::move(double_diff);
  if (blob.data.empty() && !raw_data.bytes.empty()) blob.data = floats_of(raw_data, reader);
  if (blob.diff.empty() && !raw_diff.bytes.empty()) blob.diff = floats_of(raw_diff, reader);
  if (blob.legacy_shape) dims.assign(legacy.begin(), legacy.end());
  blob.shape = Shape(dims);
  const int64_t count = checked_count(dims);
  const auto holds = [count](const std::vector<float>& values) { return static_cast<int64_t>(values.size()) == count; };
  if (!holds(blob.data) || (!blob.diff.empty() && !holds(blob.diff))) {
    const bool in_data = !holds(blob.data);
    throw WireError(reader.position(),
                    fmt::format("its shape ({}) does not fit its {} {}", blob.shape.text(),
                                in_data ? blob.data.size() : blob.diff.size(), in_data ? "values" : "gradients"));
  }
  return blob;
}

int64_t blob_proto_size(const BlobRef& blob) {
  const int64_t bytes = blob.shape.count() * 4;
  int64_t size = bytes_field_size(kShape, static_cast<int64_t>(shape_bytes(blob.shape).size()));
  if (bytes > 0) size += bytes_field_size(kData, bytes) * (blob.diff != nullptr ? 2 : 1);
  return size;
}

void write_blob_proto(const BlobRef& blob, const std::function<void(const void*, size_t)>& write) {
  const int64_t bytes = blob.shape.count() * 4;
  TRAINER_ASSERT(bytes == 0 || blob.data != nullptr);
  std::string head;
  if (bytes > 0) {
    append_length_prefix(head, kData, bytes);
    write(head.data(), head.size());
    write(blob.data, static_cast<size_t>(bytes));
    if (blob.diff != nullptr) {
      head.clear();
      append_length_prefix(head, kDiff, bytes);
      write(head.data(), head.size());
      write(blob.diff, static_cast<size_t>(bytes));
    }
  }
  head.clear();
  append_bytes_field(head, kShape, shape_bytes(blob.shape));
  write(head.data(), head.size());
}

}  // namespace trainer
