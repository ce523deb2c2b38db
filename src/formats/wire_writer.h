// The parts of protobuf's wire format that hand-written serializers need.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace trainer {

inline int64_t varint_size(uint64_t value) {
  int64_t size = 1;
  for (; value >= 0x80; value >>= 7) ++size;
  return size;
}

inline void append_varint(std::string& out, uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}

inline void append_varint_field(std::string& out, uint32_t field, uint64_t value) {
  append_varint(out, uint64_t{field} << 3);
  append_varint(out, value);
}

// Appends tag and length of a bytes, string or message field; the content follows.
inline void append_length_prefix(std::string& out, uint32_t field, int64_t length) {
  append_varint(out, uint64_t{field} << 3 | 2);
  append_varint(out, static_cast<uint64_t>(length));
}

inline void append_bytes_field(std::string& out, uint32_t field, std::string_view bytes) {
  append_length_prefix(out, field, static_cast<int64_t>(bytes.size()));
  out.append(bytes);
}

// The size of a length-delimited field, with its tag and length.
inline int64_t bytes_field_size(uint32_t field, int64_t length) {
  return varint_size(uint64_t{field} << 3) + varint_size(static_cast<uint64_t>(length)) + length;
}

}  // namespace trainer
