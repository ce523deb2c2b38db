// SHA-256 (FIPS 180-4).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace trainer {

// As big-endian words: the digest in hexadecimal is the words one after the other.
std::array<uint32_t, 8> sha256(std::string_view bytes);

// A digest of any number of texts, in bounded memory: SHA-256 of their parts and of the digest of the parts before.
class TextDigest {
 public:
  void add(std::string_view text);
  // Of all texts, in hexadecimal.
  std::string value() const;

 private:
  std::string part_;
};

}  // namespace trainer
