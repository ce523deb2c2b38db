// SHA-256 (FIPS 180-4).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace trainer {

// As big-endian words: the digest in hexadecimal is the words one after the other.
std::array<uint32_t, 8> sha256(std::string_view bytes);

}  // namespace trainer
