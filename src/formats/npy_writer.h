// Writes a NumPy array: `.npy`, format version 1, C order, f4 little-endian.
#pragma once

#include <cstdint>
#include <string>

#include "formats/atomic_file.h"
#include "tensor/shape.h"

namespace trainer {

class NpyWriter {
 public:
  // Writes the header; shape.count() values in all follow by write(). An existing file is kept and is a data_error.
  NpyWriter(const std::string& path, const Shape& shape);
  void write(const float* values, int64_t count);
  // Renames the file to its final path; all values must have been written.
  void finish();

 private:
  AtomicFile file_;
  int64_t missing_;
};

}  // namespace trainer
