// A bounded reader of protobuf's wire format over memory or a file of any size.
//
// It never reads past the limit of the message it is in, never takes memory that the input cannot fill, and
// turns every defect into a WireError with the byte offset.
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
  // Bytes from the start of the file or record.
  int64_t offset() const { return offset_; }

 private:
  int64_t offset_;
};

enum class WireType : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kGroup = 3, kEndGroup = 4, kFixed32 = 5 };

class WireReader {
 public:
  // Over memory, which must outlive the reader.
  explicit WireReader(std::string_view bytes);
  // Over the whole of an open file, `size` bytes from its start, through a buffer; the descriptor stays the
  // caller's.
  WireReader(int descriptor, int64_t size);

  int64_t position() const { return base_ + (cursor_ - begin_); }
  // Bytes left in the current message.
  int64_t remaining() const { return limit_ - position(); }

  // Reads the next tag; false at the end of the current message. Then take the value with the call that fits
  // `type`, or skip it.
  bool next();
  uint32_t field() const { return field_; }
  WireType type() const { return type_; }
  bool is(uint32_t field, WireType type) const { return field_ == field && type_ == type; }

  uint64_t varint();
  uint32_t fixed32();
  uint64_t fixed64();
  // The length of a kBytes value, checked against the current message.
  int64_t length();
  // A kBytes value as text; at most `most` bytes.
  std::string text(int64_t most = 1 << 20);
  // Raw bytes of the value; call length() first.
  void bytes(void* out, int64_t count);
  // In memory: a view of the next `count` bytes without a copy. Only for readers over memory.
  std::string_view view(int64_t count);
  // Skips the value after the last tag, groups included.
  void skip();

  // Repeated numbers, both packed and not, appended to `out`, which may come to hold `most`; more are refused before
  // they are read. The tag must have been read.
  void append_floats(std::vector<float>& out, int64_t most = INT64_MAX);
  void append_doubles(std::vector<float>& out, int64_t most = INT64_MAX);
  void append_int64s(std::vector<int64_t>& out);

  // Enters the kBytes value after the last tag as a message: next() ends where it ends. Returns the old
  // limit, to be given to leave(), which also skips what was not read.
  int64_t enter();
  // The same where the message may reach beyond the current limit: it is cut there, so that what is left of
  // it can be read and named. `promised_end` is where it should have ended.
  int64_t enter_truncated(int64_t& promised_end);
  void leave(int64_t outer_limit);

 private:
  void refill();
  void skip_bytes(int64_t count);
  void need(int64_t count);
  // Of numbers that are to be appended.
  void check_room(const std::vector<float>& out, int64_t count, int64_t most) const;
  [[noreturn]] void fail(const std::string& reason) const;

  int descriptor_ = -1;
  std::vector<char> buffer_;
  const char* begin_ = nullptr;
  const char* cursor_ = nullptr;
  const char* end_ = nullptr;
  int64_t base_ = 0;   // offset of begin_
  int64_t limit_ = 0;  // end of the current message
  int64_t size_ = 0;
  uint32_t field_ = 0;
  WireType type_ = WireType::kVarint;
};

}  // namespace trainer
