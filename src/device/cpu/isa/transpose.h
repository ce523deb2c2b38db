// Transposition of a matrix by instruction set.
#pragma once

#include <cstdint>

namespace trainer::cpu {

struct TransposeTable {
  // to[j * to_step + i] = from[i * from_step + j] for i < rows, j < columns.
  void (*words)(int64_t rows, int64_t columns, const uint32_t* from, int64_t from_step, uint32_t* to, int64_t to_step);
  void (*halves)(int64_t rows, int64_t columns, const uint16_t* from, int64_t from_step, uint16_t* to, int64_t to_step);
  void (*bytes)(int64_t rows, int64_t columns, const uint8_t* from, int64_t from_step, uint8_t* to, int64_t to_step);
};

namespace isa_v2 {
extern const TransposeTable kTransposeTable;
}
namespace isa_v3 {
extern const TransposeTable kTransposeTable;
}
namespace isa_v4 {
extern const TransposeTable kTransposeTable;
}

}  // namespace trainer::cpu
