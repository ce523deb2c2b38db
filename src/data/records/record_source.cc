// The names of records in messages.
#include "data/records/record_source.h"

#include <fmt/format.h>

#include "base/text.h"

namespace trainer {

namespace {

std::string shown_key(std::string_view key) {
  constexpr size_t kLongestKey = 200;
  return printable(key.substr(0, kLongestKey)) + (key.size() > kLongestKey ? "..." : "");
}

}  // namespace

std::string describe(const Record& record, const std::string& path) {
  return fmt::format("record {} (key \"{}\") of {}", record.index, shown_key(record.key), path);
}

std::string content_text(uint64_t records, std::string_view first, std::string_view last) {
  return fmt::format("{} records from \"{}\" to \"{}\"", format_count(static_cast<int64_t>(records)), shown_key(first),
                     shown_key(last));
}

std::string with_digest(const std::string& content, const TextDigest& digest) {
  constexpr size_t kDigits = 16;
  return fmt::format("{}, digest of paths and labels {}", content, digest.value().substr(0, kDigits));
}

std::string RecordSource::describe(const Record& record) const { return trainer::describe(record, path()); }

}  // namespace trainer
