// A file holds a header, the key and the value. Its name is a hash of the key; two keys may have the same hash.
#include "device/cuda/disk_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "base/cache_folder.h"
#include "base/philox.h"

namespace trainer::cuda {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMaxBytes = uint64_t{1} << 30;
// Increase this if a change makes stored values wrong for their keys: the numbering, types or alignment in graphs, or
// the options of the compiler.
constexpr uint64_t kFormat = 2;

struct Header {
  uint64_t format, key_bytes, value_bytes, value_hash;
};
uint64_t hash_of(const std::string& text) { return philox_key(0, text, "", ""); }

std::mutex mutex;
std::map<std::string, std::string> in_memory;

std::string file_of(const std::string& key) {
  const std::string folder = cache_folder();
  return folder.empty() ? "" : fmt::format("{}/{:016x}", folder, hash_of(key));
}

std::optional<std::string> read_file(const std::string& file, const std::string& key) {
  std::error_code ignored;
  if (!fs::is_regular_file(file, ignored)) return {};
  std::ifstream in(file, std::ios::binary);
  Header header{};
  if (!in.read(reinterpret_cast<char*>(&header), sizeof header) || header.format != kFormat ||
      header.key_bytes != key.size() || header.value_bytes > kMaxBytes)
    return {};
  std::string found(header.key_bytes, '\0'), value(header.value_bytes, '\0');
  in.read(found.data(), static_cast<std::streamsize>(found.size()));
  in.read(value.data(), static_cast<std::streamsize>(value.size()));
  if (!in || found != key || hash_of(value) != header.value_hash) return {};
  return value;
}

// Writes to a temporary name and renames the file.
void write_file(const std::string& file, const std::string& key, const std::string& value) {
  std::error_code failed;
  fs::create_directories(fs::path(file).parent_path(), failed);
  const std::string temporary =
      fmt::format("{}.{}.{}", file, getpid(), std::chrono::steady_clock::now().time_since_epoch().count());
  std::ofstream out(temporary, std::ios::binary);
  const Header header{kFormat, key.size(), value.size(), hash_of(value)};
  out.write(reinterpret_cast<const char*>(&header), sizeof header);
  out << key << value;
  out.close();
  if (out) fs::rename(temporary, file, failed);
  if (!out || failed) fs::remove(temporary, failed);
}

}  // namespace

std::string cache_folder() {
  const std::string folder = user_cache_folder();
  return folder.empty() ? "" : folder + "/cuda";
}

std::string refuse_disk_cache() {
  const std::string folder = cache_folder();
  if (folder.empty()) return "TRAINER_CACHE, XDG_CACHE_HOME and HOME name no folder";
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (failed) return fmt::format("{}: {}", folder, failed.message());
  return access(folder.c_str(), W_OK | X_OK) == 0 ? "" : fmt::format("{}: {}", folder, std::strerror(errno));
}

std::optional<std::string> find_cached(const std::string& key) {
  const std::lock_guard<std::mutex> guard(mutex);
  const auto found = in_memory.find(key);
  if (found != in_memory.end()) return found->second;
  const std::string file = file_of(key);
  std::optional<std::string> value = file.empty() ? std::nullopt : read_file(file, key);
  if (value) in_memory.emplace(key, *value);
  return value;
}

void store_cached(const std::string& key, const std::string& value) {
  const std::lock_guard<std::mutex> guard(mutex);
  in_memory.insert_or_assign(key, value);
  if (const std::string file = file_of(key); !file.empty()) write_file(file, key, value);
}

}  // namespace trainer::cuda
