// Whole numbers in the bytes of a file. The caller checks that the bytes exist.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace trainer {

inline uint32_t little_endian(std::string_view file, size_t at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value |= uint32_t{static_cast<unsigned char>(file[at + i])} << (8 * i);
  return value;
}

inline uint32_t big_endian(std::string_view file, size_t at, size_t bytes) {
  uint32_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<unsigned char>(file[at + i]);
  return value;
}

}  // namespace trainer
