// Writing NumPy arrays: `.npy`, format version 1, C order, f4 little-endian.
#pragma once

#include <cstdint>
#include <string>

#include "formats/atomic_file.h"
#include "tensor/shape.h"

namespace trainer {

class NpyWriter {
 public:
  // Values follow by write(), shape.count() of them in all. A file that exists is kept: a data_error.
  NpyWriter(const std::string& path, const Shape& shape);
  void write(const float* values, int64_t count);
  // Puts the file in its place; all values must have been written.
  void finish();

 private:
  AtomicFile file_;
  int64_t missing_;
};

}  // namespace trainer
