// Serializes TensorBoard's event files.
#include "report/event_file.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstring>

#include "base/host_name.h"
#include "formats/wire_reader.h"
#include "formats/wire_writer.h"
#include "report/crc32c.h"

namespace trainer {
namespace {

// Field numbers of tensorflow.Event, Summary and Summary.Value.
constexpr uint32_t kEventWallTime = 1, kEventStep = 2, kEventFileVersion = 3, kEventSummary = 5;
constexpr uint32_t kSummaryValue = 1;
constexpr uint32_t kValueTag = 1, kValueSimpleValue = 2;

// The wire format and TFRecord are little-endian, as are all machines that trainer supports.
template <typename T>
void append_raw(std::string& out, T value) {
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

void append_double_field(std::string& out, uint32_t field, double value) {
  append_varint(out, uint64_t{field} << 3 | 1);
  append_raw(out, value);
}

void append_float_field(std::string& out, uint32_t field, float value) {
  append_varint(out, uint64_t{field} << 3 | 5);
  append_raw(out, value);
}

// The step of an event; -1 if it has none or cannot be parsed.
int64_t step_of(std::string_view event) {
  try {
    WireReader reader(event);
    while (reader.next()) {
      if (reader.is(kEventStep, WireType::kVarint)) return static_cast<int64_t>(reader.varint());
      reader.skip();
    }
  } catch (const WireError&) {
    // Not an event of trainer.
  }
  return -1;
}

}  // namespace

std::string tfrecord(const std::string& bytes) {
  std::string length;
  append_raw(length, static_cast<uint64_t>(bytes.size()));
  std::string out = length;
  append_raw(out, masked_crc32c(length));
  out += bytes;
  append_raw(out, masked_crc32c(bytes));
  return out;
}

std::string version_event(double wall_time) {
  std::string event;
  append_double_field(event, kEventWallTime, wall_time);
  append_bytes_field(event, kEventFileVersion, "brain.Event:2");
  return event;
}

std::string scalar_event(double wall_time, int64_t step, const std::string& tag, float value) {
  std::string scalar;
  append_bytes_field(scalar, kValueTag, tag);
  append_float_field(scalar, kValueSimpleValue, value);
  std::string summary;
  append_bytes_field(summary, kSummaryValue, scalar);
  std::string event;
  append_double_field(event, kEventWallTime, wall_time);
  append_varint_field(event, kEventStep, static_cast<uint64_t>(step));
  append_bytes_field(event, kEventSummary, summary);
  return event;
}

std::string records_before(std::string_view content, int64_t step) {
  constexpr size_t kHead = 12, kTail = 4;  // length and its checksum; the checksum of the bytes
  std::string kept;
  while (content.size() >= kHead + kTail) {
    uint64_t length = 0;
    std::memcpy(&length, content.data(), sizeof length);
    if (length > content.size() - kHead - kTail) break;
    const size_t bytes = kHead + length + kTail;
    if (step_of(content.substr(kHead, length)) < step) kept += content.substr(0, bytes);
    content.remove_prefix(bytes);
  }
  return kept;
}

std::string event_file_name(double wall_time) {
  const std::string host = host_name();
  return fmt::format("{}{}.{}.{}", kEventFilePrefix, static_cast<int64_t>(wall_time), host.empty() ? "localhost" : host,
                     getpid());
}

}  // namespace trainer
