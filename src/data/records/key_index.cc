// File format: signature, checksum of the rest, then identity, keys and ends, each preceded by its length; host byte
// order.
#include "data/records/key_index.h"

#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "base/cache_folder.h"
#include "base/error.h"
#include "base/philox.h"
#include "base/text.h"
#include "formats/atomic_file.h"

namespace trainer {

namespace {

constexpr char kSignature[] = "trainer keys 1\n";
constexpr size_t kSignatureSize = sizeof(kSignature) - 1;

void append(std::string& out, const void* bytes, uint64_t count) {
  out.append(reinterpret_cast<const char*>(&count), sizeof(count));
  out.append(static_cast<const char*>(bytes), static_cast<size_t>(count));
}

// Removes one counted piece from the front of `rest`.
bool take(std::string_view& rest, std::string_view& piece) {
  uint64_t count = 0;
  if (rest.size() < sizeof(count)) return false;
  std::memcpy(&count, rest.data(), sizeof(count));
  rest.remove_prefix(sizeof(count));
  if (count > rest.size()) return false;
  piece = rest.substr(0, static_cast<size_t>(count));
  rest.remove_prefix(static_cast<size_t>(count));
  return true;
}

uint64_t checksum(std::string_view bytes) { return philox_key(bytes.size(), bytes, "", ""); }

using Clock = std::chrono::steady_clock;

constexpr uint64_t kKeysPerClockLook = 4096;
constexpr double kSecondsBetweenLines = 5.0;
// A shorter walk is repeated, not cached.
constexpr uint64_t kKeysWorthCaching = 200000;

}  // namespace

void KeyIndex::add(std::string_view key) {
  keys_.append(key);
  ends_.push_back(keys_.size());
}

std::string_view KeyIndex::key(uint64_t index) const {
  TRAINER_ASSERT(index < ends_.size());
  const size_t i = static_cast<size_t>(index);
  const uint64_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::string_view(keys_).substr(static_cast<size_t>(begin), static_cast<size_t>(ends_[i] - begin));
}

int64_t KeyIndex::memory_bytes() const {
  return static_cast<int64_t>(keys_.capacity() + ends_.capacity() * sizeof(uint64_t));
}

bool KeyIndex::save(const std::string& file, const std::string& identity) const {
  try {
    std::error_code error;
    std::filesystem::create_directories(std::filesystem::path(file).parent_path(), error);
    std::string body;
    append(body, identity.data(), identity.size());
    append(body, keys_.data(), keys_.size());
    append(body, ends_.data(), ends_.size() * sizeof(uint64_t));
    const uint64_t sum = checksum(body);
    AtomicFile out(file, static_cast<int64_t>(body.size()));
    out.write(kSignature, kSignatureSize);
    out.write(&sum, sizeof(sum));
    out.write(body.data(), body.size());
    out.commit();
    return true;
  } catch (const Error&) {
    return false;  // only a cache: the next run walks again
  }
}

std::optional<KeyIndex> KeyIndex::load(const std::string& file, const std::string& identity) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return std::nullopt;
  const std::string content((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::string_view rest = content;
  uint64_t sum = 0;
  if (rest.size() < kSignatureSize + sizeof(sum) || rest.substr(0, kSignatureSize) != kSignature) return std::nullopt;
  rest.remove_prefix(kSignatureSize);
  std::memcpy(&sum, rest.data(), sizeof(sum));
  rest.remove_prefix(sizeof(sum));
  std::string_view name, keys, ends;
  if (checksum(rest) != sum || !take(rest, name) || !take(rest, keys) || !take(rest, ends)) return std::nullopt;
  if (name != identity || ends.size() % sizeof(uint64_t) != 0) return std::nullopt;
  KeyIndex index;
  index.keys_ = std::string(keys);
  index.ends_.resize(ends.size() / sizeof(uint64_t));
  if (!index.ends_.empty()) std::memcpy(index.ends_.data(), ends.data(), ends.size());
  return index;
}

std::string KeyIndex::cache_file(const std::string& database_path) {
  const std::string folder = user_cache_folder();
  return folder.empty() ? "" : fmt::format("{}/keys-{:016x}", folder, philox_key(0, database_path, "", ""));
}

KeyIndex gather_keys(const std::string& path, const std::string& identity, uint64_t expected,
                     const std::function<bool(std::string_view&)>& next, const LogLine& log) {
  const bool may_be_cached = expected == 0 || expected >= kKeysWorthCaching;
  const std::string file = may_be_cached ? KeyIndex::cache_file(path) : "";
  if (!file.empty()) {
    std::optional<KeyIndex> known = KeyIndex::load(file, identity);
    if (known && (expected == 0 || known->size() == expected)) return std::move(*known);
  }
  KeyIndex keys;
  const Clock::time_point start = Clock::now();
  double next_line = kSecondsBetweenLines;
  for (std::string_view key; next(key);) {
    keys.add(key);
    if (!log || keys.size() % kKeysPerClockLook != 0) continue;
    if (std::chrono::duration<double>(Clock::now() - start).count() < next_line) continue;
    log(fmt::format("Reading the keys of {}: {}{}", path, format_count(static_cast<int64_t>(keys.size())),
                    expected == 0 ? "" : " of " + format_count(static_cast<int64_t>(expected))));
    next_line += kSecondsBetweenLines;
  }
  if (keys.size() >= kKeysWorthCaching && !file.empty() && keys.save(file, identity) && log) {
    log(fmt::format("The keys of {} are cached in {}", path, file));
  }
  return keys;
}

}  // namespace trainer
