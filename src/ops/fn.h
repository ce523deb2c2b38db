// The scalar functions of a map's nodes (map.h says what a, b, c and k are). Nothing else stands here, so
// that nvcc reads little.
#pragma once

#include <cstdint>

namespace trainer {

enum class Fn : uint8_t {
  // Leaves.
  kInput,     // operand a
  kConstant,  // k
  kIndex,     // the element's coordinate along logical axis a of the domain, as a float
  kSegment,   // the value of segments[a] at the element's logical row-major index
  kUniform,   // uniform in (0, 1] for key keys[a], the pass number and the element's logical row-major index
  kNormal,    // standard normal, likewise (philox_normal)
  // One argument: a.
  kNegate,
  kAbs,
  kSign,  // -1, 0, 1
  kExp,
  kLog,
  kSqrt,
  kErf,
  kTanh,
  kSigmoid,
  kFloor,
  kSoftplus,       // log(1 + e^x), without overflow
  kPowerConstant,  // a^k, as std::pow
  kRelu,           // a > 0 ? a : k * a; 0 where k is 0 and a is not NaN
  // Two arguments: a, b.
  kAdd,
  kSubtract,
  kMultiply,
  kDivide,
  kMinimum,
  kMaximum,
  kPower,         // a^b, as std::pow
  kGreater,       // 1 or 0
  kGreaterEqual,  // 1 or 0
  kEqual,         // 1 or 0
  kReluGradient,  // a is relu's output (or input), b the gradient: a > 0 ? b : k * b
  // Three arguments: a, b, c.
  kSelect,  // a != 0 ? b : c
};

}  // namespace trainer
