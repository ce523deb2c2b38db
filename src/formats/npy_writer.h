// Writes a NumPy array: `.npy`, format version 1, C order, f4 little-endian.
#pragma once

#include <cstdint>
#include <string>

#include "formats/atomic_file.h"
#include "tensor/shape.h"

namespace trainer {

// The bytes before the values of an array.
std::string npy_header(const Shape& shape);

class NpyWriter {
 public:
  // Writes the header; shape.count() values in all follow by write(). An existing file is kept and is a data_error.
  NpyWriter(const std::string& path, const Shape& shape);
  void write(const float* values, int64_t count);
  // Renames the file to its final path. If another number of rows was written, corrects the header: this needs a file
  // on a disk.
  void finish();

 private:
  Shape shape_;
  AtomicFile file_;
  int64_t written_ = 0;
};

}  // namespace trainer
