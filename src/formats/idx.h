// IDX files, the format of MNIST, plain or gzipped: a magic number, extents, unsigned bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/shape.h"

namespace trainer {

struct IdxArray {
  Shape shape;  // images: N,H,W; labels: N
  std::vector<uint8_t> bytes;
};

// Reads a whole file. Only element type 8 (unsigned byte) is supported; a file too short or too long for its extents is
// a data_error.
IdxArray read_idx(const std::string& path);

}  // namespace trainer
