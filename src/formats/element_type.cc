// The types of stored numbers, and their conversion to floats.
#include "formats/element_type.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "tensor/bf16.h"

namespace trainer {
namespace {

struct Properties {
  const char* name;
  int64_t size;
};

Properties properties_of(ElementType type) {
  switch (type) {
    case ElementType::kF64: return {"float64", 8};
    case ElementType::kF32: return {"float32", 4};
    case ElementType::kF16: return {"float16", 2};
    case ElementType::kBF16: return {"bfloat16", 2};
    case ElementType::kI64: return {"int64", 8};
    case ElementType::kI32: return {"int32", 4};
    case ElementType::kI16: return {"int16", 2};
    case ElementType::kI8: return {"int8", 1};
    case ElementType::kU64: return {"uint64", 8};
    case ElementType::kU32: return {"uint32", 4};
    case ElementType::kU16: return {"uint16", 2};
    case ElementType::kU8: return {"uint8", 1};
    case ElementType::kBool: return {"bool", 1};
  }
  TRAINER_ASSERT(false);
}

template <typename T, typename Convert>
void convert(const void* from, int64_t count, bool swapped, float* out, Convert to_float) {
  const auto* bytes = static_cast<const unsigned char*>(from);
  for (int64_t i = 0; i < count; ++i, bytes += sizeof(T)) {
    unsigned char copy[sizeof(T)];
    std::memcpy(copy, bytes, sizeof(T));
    if (swapped) std::reverse(copy, copy + sizeof(T));
    T value;
    std::memcpy(&value, copy, sizeof(T));
    out[i] = to_float(value);
  }
}

template <typename T>
void convert(const void* from, int64_t count, bool swapped, float* out) {
  convert<T>(from, count, swapped, out, [](T value) { return static_cast<float>(value); });
}

}  // namespace

const char* name_of(ElementType type) { return properties_of(type).name; }

int64_t size_of(ElementType type) { return properties_of(type).size; }

float float_of_half(uint16_t half) {
  const int exponent = half >> 10 & 31, mantissa = half & 1023;
  float value = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                              : std::ldexp(static_cast<float>(1024 + mantissa), exponent - 25);
  if (exponent == 31)
    value = mantissa == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  return half >> 15 != 0 ? -value : value;
}

void convert_to_floats(ElementType type, bool swapped, const void* from, int64_t count, float* out) {
  switch (type) {
    case ElementType::kF64: return convert<double>(from, count, swapped, out);
    case ElementType::kF32: return convert<float>(from, count, swapped, out);
    case ElementType::kF16: return convert<uint16_t>(from, count, swapped, out, float_of_half);
    case ElementType::kBF16:
      return convert<uint16_t>(from, count, swapped, out, [](uint16_t bits) { return to_float(Bf16{bits}); });
    case ElementType::kI64: return convert<int64_t>(from, count, swapped, out);
    case ElementType::kI32: return convert<int32_t>(from, count, swapped, out);
    case ElementType::kI16: return convert<int16_t>(from, count, swapped, out);
    case ElementType::kI8: return convert<int8_t>(from, count, swapped, out);
    case ElementType::kU64: return convert<uint64_t>(from, count, swapped, out);
    case ElementType::kU32: return convert<uint32_t>(from, count, swapped, out);
    case ElementType::kU16: return convert<uint16_t>(from, count, swapped, out);
    case ElementType::kU8: return convert<uint8_t>(from, count, swapped, out);
    case ElementType::kBool:
      return convert<uint8_t>(from, count, swapped, out, [](uint8_t value) { return value == 0 ? 0.0f : 1.0f; });
  }
}

}  // namespace trainer
