// Caffe's BlobProto in wire format, without the generated message: one float array and its shape, read and written
// without a second copy in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/shape.h"

namespace trainer {

class WireReader;

// A blob read from a weight, state or mean file.
struct WeightBlob {
  Shape shape;
  // The file has num, channels, height, width (4 axes) instead of a shape: leading ones may be padding.
  bool legacy_shape = false;
  // False for a blob that an HDF5 snapshot omits because another layer owns it; all other members are then empty.
  bool present = true;
  std::vector<float> data;  // row-major, shape.count() values
  // Reads the values if they are still in the file; `data` is then empty.
  std::function<std::vector<float>()> read;
  std::vector<float> diff;  // empty, or as many values as `data`: the file has gradients
};

// A blob to write; the caller owns the memory, row-major.
struct BlobRef {
  Shape shape;
  const float* data = nullptr;
  const float* diff = nullptr;  // null: no diff is written
  // Another layer owns the values: binary files repeat them, HDF5 files omit them (but not the diff).
  bool shared = false;
};

// Reads the message up to the reader's current limit. Throws WireError, also if shape and number of values disagree.
WeightBlob read_blob_proto(WireReader& reader);

// The length of the serialized BlobProto: data, diff if present, shape.
int64_t blob_proto_size(const BlobRef& blob);
// Passes the serialized bytes to `write` in a few pieces.
void write_blob_proto(const BlobRef& blob, const std::function<void(const void*, size_t)>& write);

}  // namespace trainer
