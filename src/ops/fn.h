// The scalar functions of a map's nodes (map.h says what a, b, c and k are), apart from map.h so that nvcc reads
// little.
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
#define TRAINER_FUNCTION(name, ...) k##name,
#include "ops/functions.def"
};

// How many there are in the column `arguments` of functions.def, besides k.
consteval int arity_of(const char* arguments) {
  int arity = 0;
  while (arguments[arity] != 0 && arguments[arity] != 'k') ++arity;
  return arity;
}

}  // namespace trainer
