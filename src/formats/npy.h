// A file with a NumPy array in C order.
#pragma once

#include <cstdint>
#include <string>

#include "formats/input_file.h"
#include "formats/npy_header.h"

namespace trainer {

class NpyFile {
 public:
  // Reads and checks the header, and checks that the file has exactly the promised number of values.
  explicit NpyFile(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const Shape& shape() const { return header_.shape; }
  ElementType type() const { return header_.type; }

  // Reads rows [begin, end) of axis 0, converted to float32, into (end - begin) * shape().count(1) values. A scalar has
  // one row.
  void read_rows(int64_t begin, int64_t end, float* out) const;

 private:
  InputFile file_;
  NpyHeader header_;
};

}  // namespace trainer
