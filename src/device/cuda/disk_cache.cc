// A file holds the lengths of key and value, then both; its name is a hash of the key, which need not be unique.
#include "device/cuda/disk_cache.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>

#include "base/philox.h"

namespace trainer::cuda {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kMostBytes = uint64_t{1} << 30;

std::mutex mutex;
std::map<std::string, std::string> known;

std::string file_of(const std::string& key) {
  const std::string folder = cache_folder();
  return folder.empty() ? "" : fmt::format("{}/{:016x}", folder, philox_key(0, key, "", ""));
}

std::optional<std::string> read_file(const std::string& file, const std::string& key) {
  std::ifstream in(file, std::ios::binary);
  uint64_t sizes[2] = {};
  if (!in.read(reinterpret_cast<char*>(sizes), sizeof sizes) || sizes[0] != key.size() || sizes[1] > kMostBytes) return {};
  std::string found(sizes[0], '\0'), value(sizes[1], '\0');
  in.read(found.data(), static_cast<std::streamsize>(found.size()));
  in.read(value.data(), static_cast<std::streamsize>(value.size()));
  if (!in || found != key || in.peek() != std::ifstream::traits_type::eof()) return {};
  return value;
}

// To a name of its own, and then renamed.
void write_file(const std::string& file, const std::string& key, const std::string& value) {
  std::error_code failed;
  fs::create_directories(fs::path(file).parent_path(), failed);
  const std::string temporary = fmt::format("{}.{}", file, getpid());
  std::ofstream out(temporary, std::ios::binary);
  const uint64_t sizes[2] = {key.size(), value.size()};
  out.write(reinterpret_cast<const char*>(sizes), sizeof sizes);
  out << key << value;
  out.close();
  if (out) fs::rename(temporary, file, failed);
  if (!out || failed) fs::remove(temporary, failed);
}

}  // namespace

std::string cache_folder() {
  if (const char* folder = std::getenv("XDG_CACHE_HOME"); folder != nullptr && *folder == '/')
    return fmt::format("{}/trainer/cuda", folder);
  const char* home = std::getenv("HOME");
  return home == nullptr || *home != '/' ? "" : fmt::format("{}/.cache/trainer/cuda", home);
}

std::optional<std::string> find_cached(const std::string& key) {
  const std::lock_guard<std::mutex> guard(mutex);
  const auto found = known.find(key);
  if (found != known.end()) return found->second;
  const std::string file = file_of(key);
  std::optional<std::string> value = file.empty() ? std::nullopt : read_file(file, key);
  if (value) known.emplace(key, *value);
  return value;
}

void keep_cached(const std::string& key, const std::string& value) {
  const std::lock_guard<std::mutex> guard(mutex);
  known.insert_or_assign(key, value);
  if (const std::string file = file_of(key); !file.empty()) write_file(file, key, value);
}

}  // namespace trainer::cuda
