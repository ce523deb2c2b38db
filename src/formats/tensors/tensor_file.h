// Weight files of other programs: safetensors, PyTorch, ONNX and .npz, as a list of named tensors.
//
// Opening a file reads and checks its structure; the values of a tensor are read, and converted to floats, when they
// are needed. Files are untrusted: every size, offset, count and nesting depth is checked against the file before
// memory is taken, and nothing in a file is executed. Errors are data_error with file, place and remedy.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/element_type.h"
#include "tensor/shape.h"

namespace trainer {

struct StoredTensor {
  std::string name;
  Shape shape;
  ElementType type = ElementType::kF32;
  // Reads shape.count() values, row-major. Owns what it reads from.
  std::function<void(float* out)> read;

  std::vector<float> values() const;
};

struct TensorFile {
  std::string path;
  const char* format = "";  // "safetensors"
  std::vector<StoredTensor> tensors;
  std::map<std::string, std::string> metadata = {};  // of a safetensors file
};

// Opens a file of one of the formats, which is recognized by its content; nothing for any other content.
std::optional<TensorFile> open_tensors(const std::string& path);

// Copies values at distances of `strides` elements into row-major order.
void gather(const float* from, const Shape& shape, const std::vector<int64_t>& strides, float* out);

}  // namespace trainer
