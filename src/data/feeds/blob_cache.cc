// Blobs follow each other in large segments. A file is written by pwrite, which reports a full disk, and read through a
// mapping.
#include "data/feeds/blob_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "base/align.h"
#include "base/error.h"
#include "formats/mapped_file.h"

namespace trainer {

namespace {

constexpr int64_t kSegment = int64_t{64} << 20;
constexpr int64_t kAlignment = 16;

int open_nameless(const std::string& folder) {
  const int file = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return file;
  // The file system has no nameless files.
  std::string path = folder + "/trainer-cache-XXXXXX";
  const int named = mkostemp(path.data(), O_CLOEXEC);
  if (named >= 0) unlink(path.c_str());
  return named;
}

int open_file(const std::string& folder) {
  const int file = open_nameless(folder);
  if (file < 0)
    throw data_error("{} cannot hold the cache: {}. Name another folder in the environment variable TMPDIR", folder,
                     std::strerror(errno));
  return file;
}

}  // namespace

BlobCache::BlobCache(uint64_t blobs, int64_t limit) : blobs_(static_cast<size_t>(blobs)), limit_(limit) {}

BlobCache::BlobCache(uint64_t blobs, const std::string& folder, bool larger_than_memory)
    : blobs_(static_cast<size_t>(blobs)),
      limit_(std::numeric_limits<int64_t>::max()),
      file_(open_file(folder)),
      larger_than_memory_(larger_than_memory) {}

BlobCache::~BlobCache() {
  for (const Segment& segment : segments_) munmap(segment.data, static_cast<size_t>(segment.size));
  if (file_ >= 0) close(file_);
}

std::string_view BlobCache::find(uint64_t blob) const {
  const char* kept = blobs_[static_cast<size_t>(blob)].load(std::memory_order_acquire);
  if (kept == nullptr) return {};
  int64_t size = 0;
  std::memcpy(&size, kept, sizeof size);
  const std::string_view bytes(kept + kAlignment, static_cast<size_t>(size));
  if (larger_than_memory_) prefetch(bytes);
  return bytes;
}

// Returns nullptr if no space is left.
char* BlobCache::reserve(int64_t bytes, int64_t& file_offset) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (full_ || bytes > limit_ - total_) {
    full_ = true;
    return nullptr;
  }
  if (segments_.empty() || bytes > segments_.back().size - used_) {
    Segment segment;
    segment.size = std::max(bytes, kSegment);
    if (!segments_.empty()) segment.file_offset = segments_.back().file_offset + segments_.back().size;
    const auto size = static_cast<size_t>(segment.size);
    const bool in_memory = file_ < 0;
    // A mapping may reach beyond the end of the file; only written bytes are read.
    void* data = in_memory ? mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                           : mmap(nullptr, size, PROT_READ, MAP_SHARED, file_, segment.file_offset);
    if (data == MAP_FAILED) {
      full_ = true;
      return nullptr;
    }
    if (larger_than_memory_) madvise(data, size, MADV_RANDOM);
    segment.data = static_cast<char*>(data);
    segments_.push_back(segment);
    used_ = 0;
  }
  const Segment& segment = segments_.back();
  char* place = segment.data + used_;
  file_offset = segment.file_offset + used_;
  used_ += bytes;
  total_ += bytes;
  return place;
}

bool BlobCache::write(char* to, int64_t file_offset, std::string_view bytes) {
  if (bytes.empty()) return true;
  if (file_ < 0) {
    std::memcpy(to, bytes.data(), bytes.size());
    return true;
  }
  while (!bytes.empty()) {
    const ssize_t written = pwrite(file_, bytes.data(), bytes.size(), file_offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
    file_offset += written;
  }
  return true;
}

void BlobCache::keep(uint64_t blob, std::string_view head, std::string_view tail) {
  std::atomic<const char*>& kept = blobs_[static_cast<size_t>(blob)];
  if (kept.load(std::memory_order_relaxed) != nullptr) return;
  const auto size = static_cast<int64_t>(head.size() + tail.size());
  int64_t at = 0;
  char* place = reserve(align_up(kAlignment + size, kAlignment), at);
  if (place == nullptr) return;
  char prefix[kAlignment] = {};
  std::memcpy(prefix, &size, sizeof size);
  const auto head_size = static_cast<int64_t>(head.size());
  const bool written = write(place, at, {prefix, sizeof prefix}) && write(place + kAlignment, at + kAlignment, head) &&
                       write(place + kAlignment + head_size, at + kAlignment + head_size, tail);
  if (!written) {
    std::lock_guard<std::mutex> lock(mutex_);
    full_ = true;
    return;
  }
  kept.store(place, std::memory_order_release);
}

}  // namespace trainer
