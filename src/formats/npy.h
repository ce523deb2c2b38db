// NumPy arrays: `.npy`, format versions 1 to 3, C order, f4, f8, i1..i8, u1..u8 and b1 in either byte order.
#pragma once

#include <cstdint>
#include <string>

#include "formats/input_file.h"
#include "tensor/shape.h"

namespace trainer {

class NpyFile {
 public:
  // Reads and checks the header, and checks that the file has exactly the promised number of values.
  explicit NpyFile(const std::string& path);

  const std::string& path() const { return file_.path(); }
  const Shape& shape() const { return shape_; }
  // 'f' float, 'i' signed, 'u' unsigned (also booleans).
  char kind() const { return kind_; }
  int element_bytes() const { return element_bytes_; }

  // Reads rows [begin, end) of axis 0, converted to float32, into (end - begin) * shape().count(1) values. A scalar has
  // one row.
  void read_rows(int64_t begin, int64_t end, float* out) const;

 private:
  void parse_header(const std::string& header);

  InputFile file_;
  Shape shape_;
  char kind_ = 'f';
  int element_bytes_ = 4;
  bool swapped_ = false;
  int64_t data_offset_ = 0;
};

}  // namespace trainer
