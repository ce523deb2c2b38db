// The types of stored numbers, and their conversion to floats.
#pragma once

#include <cstdint>

namespace trainer {

enum class ElementType : uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

// "float32", "bfloat16", "int64".
const char* name_of(ElementType type);
int64_t size_of(ElementType type);

float float_of_half(uint16_t half);

// Converts `count` numbers, in the other byte order if `swapped`.
void convert_to_floats(ElementType type, bool swapped, const void* from, int64_t count, float* out);

}  // namespace trainer
