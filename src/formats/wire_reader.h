// Bounded reader of protobuf's wire format over memory or a file of any size.
//
// It never reads past the limit of the current message and never allocates memory that the input cannot fill. Every
// defect is a WireError with the byte offset.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {

class WireError : public std::runtime_error {
 public:
  WireError(int64_t offset, const std::string& reason) : std::runtime_error(reason), offset_(offset) {}
  // Byte offset from the start of the file or record.
  int64_t offset() const { return offset_; }

 private:
  int64_t offset_;
};

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kGroup = 3, kEndGroup = 4, kFixed32 = 5 };

class WireReader {
 public:
  // Reads memory, which must outlive the reader.
  explicit WireReader(std::string_view bytes);
  // Reads an open file from byte `begin` to byte `end`, through a buffer. The caller owns the descriptor.
  WireReader(int descriptor, int64_t begin, int64_t end);
  WireReader(int descriptor, int64_t size) : WireReader(descriptor, 0, size) {}

  int64_t position() const { return base_ + (cursor_ - begin_); }
  // Bytes left in the current message.
  int64_t remaining() const { return limit_ - position(); }

  // Reads the next tag; false at the end of the current message. Then read the value with the call for its `type`, or
  // skip it.
  bool next();
  uint32_t field() const { return field_; }
  WireType type() const { return type_; }
  bool is(uint32_t field, WireType type) const { return field_ == field && type_ == type; }

  uint64_t varint();
  uint32_t fixed32();
  uint64_t fixed64();
  // The length of a kBytes value, checked against the current message.
  int64_t length();
  // A kBytes value as text of at most `most` bytes.
  std::string text(int64_t most = 1 << 20);
  // Copies raw bytes of the value; call length() first.
  void bytes(void* out, int64_t count);
  // A view of the next `count` bytes, without a copy. Only for readers over memory.
  std::string_view view(int64_t count);
  // Skips the value after the last tag, groups included.
  void skip();

  // Append repeated numbers, packed or not, to `out`. Throw before reading if `out` would then have more than `most`
  // values. The tag must have been read.
  void append_floats(std::vector<float>& out, int64_t most = INT64_MAX);
  void append_doubles(std::vector<float>& out, int64_t most = INT64_MAX);
  void append_int64s(std::vector<int64_t>& out);

  // Enters the kBytes value after the last tag as a message: next() returns false at its end. Returns the old limit for
  // leave(), which also skips the unread rest.
  int64_t enter();
  // Like enter(), but a message that extends beyond the current limit is cut there, so that the rest can be read and
  // named. `promised_end` receives the end that the length claims.
  int64_t enter_truncated(int64_t& promised_end);
  void leave(int64_t outer_limit);

 private:
  void refill();
  void skip_bytes(int64_t count);
  void need(int64_t count);
  // Throws if `count` more numbers would exceed `most`.
  void check_room(const std::vector<float>& out, int64_t count, int64_t most) const;
  [[noreturn]] void fail(const std::string& reason) const;

  int descriptor_ = -1;
  std::vector<char> buffer_;
  const char* begin_ = nullptr;
  const char* cursor_ = nullptr;
  const char* end_ = nullptr;
  int64_t base_ = 0;   // offset of begin_
  int64_t limit_ = 0;  // end of the current message
  int64_t size_ = 0;   // end of all bytes
  uint32_t field_ = 0;
  WireType type_ = WireType::kVarint;
};

}  // namespace trainer
