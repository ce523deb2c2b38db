// Bounded reader of protobuf's wire format.
#include "formats/wire_reader.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace trainer {
namespace {

// Floats on the wire are little-endian; they are copied without conversion.
static_assert(std::endian::native == std::endian::little);

constexpr size_t kBufferBytes = 256 * 1024;
constexpr int kMostNestedGroups = 100;

}  // namespace

WireReader::WireReader(std::string_view bytes)
    : begin_(bytes.data()),
      cursor_(bytes.data()),
      end_(bytes.data() + bytes.size()),
      limit_(static_cast<int64_t>(bytes.size())),
      size_(limit_) {}

WireReader::WireReader(int descriptor, int64_t begin, int64_t end)
    : descriptor_(descriptor), base_(begin), limit_(end), size_(end) {
  buffer_.resize(static_cast<size_t>(std::min<int64_t>(end - begin, kBufferBytes)));
  begin_ = cursor_ = end_ = buffer_.data();
}

void WireReader::fail(const std::string& reason) const { throw WireError(position(), reason); }

void WireReader::refill() {
  base_ = position();
  const int64_t wanted = std::min<int64_t>(size_ - base_, static_cast<int64_t>(buffer_.size()));
  begin_ = cursor_ = end_ = buffer_.data();
  while (end_ - begin_ < wanted) {
    const int64_t have = end_ - begin_;
    const ssize_t got = ::pread(descriptor_, buffer_.data() + have, static_cast<size_t>(wanted - have), base_ + have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(fmt::format("reading failed: {}", std::strerror(errno)));
    if (got == 0) fail("the file became shorter while it was read");
    end_ += got;
  }
}

void WireReader::need(int64_t count) {
  if (remaining() < count) fail("the message ends inside a value");
  if (end_ - cursor_ < count) refill();
}

uint64_t WireReader::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    need(1);
    const uint64_t byte = static_cast<unsigned char>(*cursor_++);
    value |= (byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  fail("a number has more than 10 bytes");
}

uint32_t WireReader::fixed32() {
  need(4);
  uint32_t value;
  std::memcpy(&value, cursor_, 4);
  cursor_ += 4;
  return value;
}

uint64_t WireReader::fixed64() {
  need(8);
  uint64_t value;
  std::memcpy(&value, cursor_, 8);
  cursor_ += 8;
  return value;
}

bool WireReader::next() {
  if (remaining() == 0) return false;
  const uint64_t tag = varint();
  field_ = static_cast<uint32_t>(tag >> 3);
  const auto type = static_cast<uint8_t>(tag & 7);
  if (tag > UINT32_MAX || field_ == 0 || type > 5) fail("no field of a message can begin here");
  type_ = static_cast<WireType>(type);
  return true;
}

int64_t WireReader::length() {
  const uint64_t count = varint();
  if (count > static_cast<uint64_t>(remaining())) {
    fail(fmt::format("field {} claims {} bytes, but only {} are left", field_, count, remaining()));
  }
  return static_cast<int64_t>(count);
}

std::string WireReader::text(int64_t most) {
  const int64_t count = length();
  if (count > most) fail(fmt::format("a string of {} bytes, longer than any name", count));
  std::string out(static_cast<size_t>(count), '\0');
  bytes(out.data(), count);
  return out;
}

void WireReader::bytes(void* out, int64_t count) {
  if (remaining() < count) fail("the message ends inside a value");
  char* to = static_cast<char*>(out);
  while (count > 0) {
    if (cursor_ == end_ && count >= static_cast<int64_t>(kBufferBytes) && descriptor_ >= 0) {
      const ssize_t got = ::pread(descriptor_, to, static_cast<size_t>(std::min<int64_t>(count, 1 << 30)), position());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail(fmt::format("reading failed: {}", std::strerror(errno)));
      if (got == 0) fail("the file became shorter while it was read");
      base_ = position() + got;
      begin_ = cursor_ = end_ = buffer_.data();
      to += got;
      count -= got;
      continue;
    }
    if (cursor_ == end_) refill();
    const int64_t part = std::min<int64_t>(count, end_ - cursor_);
    std::memcpy(to, cursor_, static_cast<size_t>(part));
    cursor_ += part;
    to += part;
    count -= part;
  }
}

std::string_view WireReader::view(int64_t count) {
  TRAINER_ASSERT(descriptor_ < 0);
  if (remaining() < count) fail("the message ends inside a value");
  const std::string_view out(cursor_, static_cast<size_t>(count));
  cursor_ += count;
  return out;
}

void WireReader::skip_bytes(int64_t count) {
  if (remaining() < count) fail("the message ends inside a value");
  if (count <= end_ - cursor_) {
    cursor_ += count;
  } else {
    base_ = position() + count;
    begin_ = cursor_ = end_ = buffer_.data();
  }
}

void WireReader::skip() {
  std::vector<uint32_t> open_groups;
  while (true) {
    switch (type_) {
      case WireType::kVarint: varint(); break;
      case WireType::kFixed64: skip_bytes(8); break;
      case WireType::kBytes: skip_bytes(length()); break;
      case WireType::kFixed32: skip_bytes(4); break;
      case WireType::kGroup:
        if (open_groups.size() == kMostNestedGroups) fail("groups are nested too deeply");
        open_groups.push_back(field_);
        break;
      case WireType::kEndGroup:
        if (open_groups.empty() || open_groups.back() != field_) fail("a group ends without a beginning");
        open_groups.pop_back();
        break;
    }
    if (open_groups.empty()) return;
    if (!next()) fail("the message ends inside a group");
  }
}

void WireReader::check_room(const std::vector<float>& out, int64_t count, int64_t most) const {
  if (count > most - static_cast<int64_t>(out.size()))
    fail(fmt::format("more than {} values, which no blob can have", most));
}

void WireReader::append_floats(std::vector<float>& out, int64_t most) {
  if (type_ == WireType::kFixed32) {
    check_room(out, 1, most);
    out.push_back(std::bit_cast<float>(fixed32()));
  } else if (type_ == WireType::kBytes) {
    const int64_t count = length();
    if (count % 4 != 0) fail(fmt::format("{} bytes of floats, not a multiple of 4", count));
    check_room(out, count / 4, most);
    const size_t old = out.size();
    out.resize(old + static_cast<size_t>(count / 4));
    bytes(out.data() + old, count);
  } else {
    skip();
  }
}

void WireReader::append_doubles(std::vector<float>& out, int64_t most) {
  if (type_ == WireType::kFixed64) {
    check_room(out, 1, most);
    out.push_back(static_cast<float>(std::bit_cast<double>(fixed64())));
  } else if (type_ == WireType::kBytes) {
    const int64_t count = length();
    if (count % 8 != 0) fail(fmt::format("{} bytes of doubles, not a multiple of 8", count));
    check_room(out, count / 8, most);
    out.reserve(out.size() + static_cast<size_t>(count / 8));
    for (int64_t i = 0; i < count; i += 8) out.push_back(static_cast<float>(std::bit_cast<double>(fixed64())));
  } else {
    skip();
  }
}

void WireReader::append_int64s(std::vector<int64_t>& out) {
  if (type_ == WireType::kVarint) {
    out.push_back(static_cast<int64_t>(varint()));
  } else if (type_ == WireType::kBytes) {
    const int64_t outer = enter();
    while (remaining() > 0) out.push_back(static_cast<int64_t>(varint()));
    leave(outer);
  } else {
    skip();
  }
}

int64_t WireReader::enter() {
  const int64_t count = length();
  const int64_t outer = limit_;
  limit_ = position() + count;
  return outer;
}

int64_t WireReader::enter_truncated(int64_t& promised_end) {
  const uint64_t count = varint();
  const int64_t outer = limit_;
  const int64_t taken = count > static_cast<uint64_t>(remaining()) ? remaining() : static_cast<int64_t>(count);
  // A damaged length may have any value up to 2^64.
  promised_end = count > uint64_t{1} << 62 ? INT64_MAX : position() + static_cast<int64_t>(count);
  limit_ = position() + taken;
  return outer;
}

void WireReader::leave(int64_t outer_limit) {
  skip_bytes(remaining());
  limit_ = outer_limit;
}

}  // namespace trainer
