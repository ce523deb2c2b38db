// The primitives of the map interpreter by instruction set: plain functions over a tile of floats.
//
// Each operand of a primitive is a vector of n floats or a scalar; the result is a vector of n floats. The result may
// overwrite an operand exactly; other overlaps are not allowed. Primitives do not access memory past n, unless stated
// otherwise.
#pragma once

#include <cstdint>

#include "tensor/bf16.h"

namespace trainer::cpu {

enum class TileOp : uint8_t {
  kCopy,
#define TRAINER_FUNCTION(name, ...) k##name,
#include "ops/functions.def"
  // kPowerConstant for some values of k.
  kSquareRootPower,       // a^0.5, equal to std::pow
  kInverseSquareRoot,     // a^-0.5
  kThreeQuarters,         // a^0.75
  kInverseThreeQuarters,  // a^-0.75
  kSmallPower,            // a^k, k an integer from -4 to 4
  // Fused pairs, named from the inside out: kAddMultiply is (a + b) * c.
  kAddAdd,
  kAddSubtract,
  kAddMultiply,
  kSubtractAdd,
  kSubtractSubtract,
  kSubtractMultiply,
  kMultiplyAdd,
  kMultiplySubtract,
  kMultiplyMultiply,
  kAddSubtractFrom,       // c - (a + b)
  kSubtractSubtractFrom,  // c - (a - b)
  kMultiplySubtractFrom,  // c - a * b
  kAddRelu,               // relu(a + b), slope k
  kMultiplyAddRelu,       // relu(a * b + c), slope k
};
constexpr int kTileOps = static_cast<int>(TileOp::kMultiplyAddRelu) + 1;

// The bits of a mode: which operands are scalars.
constexpr int kScalarA = 1, kScalarB = 2, kScalarC = 4;

using TilePrimitive = void (*)(float* out, const float* a, const float* b, const float* c, float k, int64_t n);

struct MapTable {
  // By op and mode. Null if a mode names an operand that the op does not have, or if all operands are scalars (call
  // mode 0 with n = 1).
  TilePrimitive primitives[kTileOps][8];

  // Contiguous rows of n floats. The first four reduce to doubles: to[row] over the elements of a row, or to[i] over
  // the rows.
  void (*sum_each_row)(double* to, const float* x, int64_t rows, int64_t n);
  void (*sum_rows)(double* to, const float* x, int64_t rows, int64_t n);
  void (*max_each_row)(double* to, const float* x, int64_t rows, int64_t n);
  void (*max_rows)(double* to, const float* x, int64_t rows, int64_t n);
  // The sum of a[i] * b[i].
  float (*dot)(const float* a, const float* b, int64_t n);
  // Fills row r with from[r * stride]; may write 15 floats past the last row.
  void (*fill_rows)(float* to, const float* from, int64_t stride, int64_t rows, int64_t n);
  void (*convert_u8)(float* to, const uint8_t* from, int64_t n);
  void (*convert_s32)(float* to, const int32_t* from, int64_t n);
  void (*convert_bf16)(float* to, const Bf16* from, int64_t n);
  void (*round_bf16)(Bf16* to, const float* from, int64_t n);

  // The random numbers of logical elements, equal to philox_element() and philox_normal(): row r has those of first +
  // r, first + r + stride, ...
  void (*uniform)(float* to, uint64_t key, uint64_t stream, uint64_t first, uint64_t stride, int64_t rows, int64_t n);
  void (*normal)(float* to, uint64_t key, uint64_t stream, uint64_t first, uint64_t stride, int64_t rows, int64_t n);
};

namespace isa_v2 {
extern const MapTable kMapTable;
}
namespace isa_v3 {
extern const MapTable kMapTable;
}
namespace isa_v4 {
extern const MapTable kMapTable;
}

}  // namespace trainer::cpu
