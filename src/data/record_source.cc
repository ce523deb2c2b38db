// How records are named in messages.
#include "data/record_source.h"

#include <fmt/format.h>

namespace trainer {

std::string describe(const Record& record, const std::string& path) {
  constexpr size_t kLongestKey = 200;
  std::string key;
  for (char c : record.key.substr(0, kLongestKey)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F) {
      key += c;
    } else {
      key += fmt::format("\\x{:02x}", byte);
    }
  }
  if (record.key.size() > kLongestKey) key += "...";
  return fmt::format("record {} (key \"{}\") of {}", record.index, key, path);
}

std::string RecordSource::describe(const Record& record) const { return trainer::describe(record, path()); }

}  // namespace trainer
