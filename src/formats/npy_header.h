// The header of a NumPy array: `.npy`, format versions 1 to 3, f2, f4, f8, i1..i8, u1..u8 and b1 in either byte order.
#pragma once

#include <cstdint>
#include <string>

#include "formats/byte_stream.h"
#include "formats/element_type.h"
#include "tensor/shape.h"

namespace trainer {

struct NpyHeader {
  Shape shape;
  ElementType type = ElementType::kF32;
  bool swapped = false;        // most significant byte first
  bool fortran_order = false;  // stored column by column
  int64_t bytes = 0;           // of the header; the values follow
};

// Reads the header, and checks that exactly its values follow in the `size` bytes of the array. Errors are data_error
// and begin with `subject`.
NpyHeader read_npy_header(const std::string& subject, int64_t size, ByteStream& stream);

}  // namespace trainer
