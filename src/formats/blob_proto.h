// Caffe's BlobProto on the wire, without the generated message: one float array and its shape, read and
// written without a second copy in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/shape.h"

namespace trainer {

class WireReader;

// A blob out of a weight, state or mean file.
struct WeightBlob {
  Shape shape;
  // The file gave num, channels, height, width (4 axes) rather than a shape: leading ones may be padding.
  bool legacy_shape = false;
  // False for a place that an HDF5 snapshot leaves out because another layer owns the blob; all else is then
  // empty.
  bool present = true;
  std::vector<float> data;  // row-major, shape.count() values
  std::vector<float> diff;  // empty, or as many values: a file with gradients
};

// A blob to be written: memory of the caller, row-major.
struct BlobRef {
  Shape shape;
  const float* data = nullptr;
  const float* diff = nullptr;  // null: not written
  // Another layer owns the values: binary files repeat them, HDF5 files leave them out (but not the diff).
  bool shared = false;
};

// Reads the message that fills the reader's current limit. Throws WireError, also where shape and number of
// values disagree.
WeightBlob read_blob_proto(WireReader& reader);

// Length of the serialised BlobProto: data, diff if there, shape.
int64_t blob_proto_size(const BlobRef& blob);
// Hands the serialised bytes to `write`, in a few pieces.
void write_blob_proto(const BlobRef& blob, const std::function<void(const void*, size_t)>& write);

}  // namespace trainer
