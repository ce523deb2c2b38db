// Reads the directory and the members of a zip archive.
#include "formats/tensors/zip.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace trainer {
namespace {

constexpr int64_t kLocalHeader = 30, kEntry = 46, kEnd = 22, kEnd64 = 56, kLocator64 = 20;
constexpr int64_t kLongestComment = 65535;
constexpr int64_t kLargestDirectory = 256 << 20;
constexpr size_t kMostMembers = 1'000'000;
// Deflate cannot make data smaller than this.
constexpr int64_t kBestRatio = 1032;
constexpr size_t kBufferBytes = 64 * 1024;

template <typename T>
T number_at(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

std::vector<char> read_bytes(const InputFile& file, int64_t offset, int64_t count) {
  std::vector<char> bytes(static_cast<size_t>(count));
  file.read(offset, bytes.data(), count);
  return bytes;
}

std::string subject_of(const std::string& path, const std::string& member) {
  return fmt::format("{}: the member \"{}\" of the zip archive", path, printable(member));
}

// The content of a deflated member.
class InflateStream : public ByteStream {
 public:
  InflateStream(const InputFile& file, std::string subject, int64_t offset, int64_t packed)
      : file_(file), subject_(std::move(subject)), offset_(offset), left_(packed), buffer_(kBufferBytes) {
    TRAINER_ASSERT(inflateInit2(&state_, -MAX_WBITS) == Z_OK);
  }
  ~InflateStream() override { inflateEnd(&state_); }
  InflateStream(const InflateStream&) = delete;
  InflateStream& operator=(const InflateStream&) = delete;

  void read(void* out, int64_t count) override {
    auto* to = static_cast<unsigned char*>(out);
    while (count > 0) {
      if (state_.avail_in == 0) refill();
      const auto part = static_cast<uInt>(std::min<int64_t>(count, 1 << 30));
      state_.next_out = to;
      state_.avail_out = part;
      const int status = inflate(&state_, Z_NO_FLUSH);
      const int64_t got = part - state_.avail_out;
      to += got;
      count -= got;
      const bool stuck = got == 0 && state_.avail_in == 0 && left_ == 0;
      if ((status == Z_STREAM_END && count > 0) || stuck)
        throw data_error("{} is damaged: its compressed data end too early", subject_);
      if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR)
        throw data_error("{} is damaged: {}", subject_, state_.msg != nullptr ? state_.msg : "it cannot be inflated");
    }
  }

  void skip(int64_t count) override {
    std::vector<char> dropped(static_cast<size_t>(std::min<int64_t>(count, kBufferBytes)));
    for (; count > 0; count -= static_cast<int64_t>(dropped.size())) {
      dropped.resize(static_cast<size_t>(std::min<int64_t>(count, kBufferBytes)));
      read(dropped.data(), static_cast<int64_t>(dropped.size()));
    }
  }

 private:
  void refill() {
    const int64_t part = std::min<int64_t>(left_, kBufferBytes);
    file_.read(offset_, buffer_.data(), part);
    offset_ += part;
    left_ -= part;
    state_.next_in = buffer_.data();
    state_.avail_in = static_cast<uInt>(part);
  }

  const InputFile& file_;
  const std::string subject_;
  int64_t offset_, left_;
  std::vector<unsigned char> buffer_;
  z_stream state_{};
};

// Replaces the sizes and the offset that do not fit into 32 bits by those of the ZIP64 field.
void apply_zip64(const char* extra, size_t bytes, uint32_t size, uint32_t packed, uint32_t header, ZipMember* member) {
  while (bytes >= 4) {
    const uint16_t id = number_at<uint16_t>(extra), length = number_at<uint16_t>(extra + 2);
    if (bytes - 4 < length) return;
    if (id == 1) {
      const char* at = extra + 4;
      const char* end = at + length;
      const auto take = [&](uint32_t small, int64_t* value) {
        if (small != UINT32_MAX || end - at < 8) return;
        *value = number_at<int64_t>(at);
        at += 8;
      };
      take(size, &member->size);
      take(packed, &member->packed);
      take(header, &member->header);
      return;
    }
    extra += 4 + length;
    bytes -= 4u + length;
  }
}

}  // namespace

bool ZipFile::has_signature(const InputFile& file) {
  char head[4] = {};
  if (file.size() < kEnd) return false;
  file.read(0, head, 4);
  return std::memcmp(head, "PK\3\4", 4) == 0 || std::memcmp(head, "PK\5\6", 4) == 0;
}

ZipFile::ZipFile(std::shared_ptr<const InputFile> file) : file_(std::move(file)) {
  const int64_t tail_begin = std::max<int64_t>(0, file_->size() - kEnd - kLongestComment);
  const std::vector<char> tail = read_bytes(*file_, tail_begin, file_->size() - tail_begin);
  int64_t at = static_cast<int64_t>(tail.size()) - kEnd;
  while (at >= 0 && std::memcmp(tail.data() + at, "PK\5\6", 4) != 0) --at;
  if (at < 0)
    throw data_error("{}: the zip archive has no directory at its end. Copy or download it again (it has {} bytes)",
                     path(), file_->size());
  const char* end = tail.data() + at;
  if (number_at<uint16_t>(end + 4) != 0) throw data_error("{} is one part of a divided zip archive", path());
  uint64_t count = number_at<uint16_t>(end + 10);
  int64_t bytes = number_at<uint32_t>(end + 12), begin = number_at<uint32_t>(end + 16);
  if (at >= kLocator64 && std::memcmp(end - kLocator64, "PK\6\7", 4) == 0) {
    const auto offset = number_at<int64_t>(end - kLocator64 + 8);
    if (offset < 0 || offset > file_->size() - kEnd64)
      throw data_error("{}: the zip archive's directory is beyond its end", path());
    const std::vector<char> end64 = read_bytes(*file_, offset, kEnd64);
    if (std::memcmp(end64.data(), "PK\6\6", 4) != 0) throw data_error("{}: the zip archive is damaged", path());
    count = number_at<uint64_t>(end64.data() + 32);
    bytes = number_at<int64_t>(end64.data() + 40);
    begin = number_at<int64_t>(end64.data() + 48);
  }
  read_directory(begin, bytes, count);
}

void ZipFile::read_directory(int64_t begin, int64_t bytes, uint64_t count) {
  if (begin < 0 || bytes < 0 || bytes > file_->size() || begin > file_->size() - bytes || bytes > kLargestDirectory ||
      count > kMostMembers)
    throw data_error(
        "{}: the zip archive's directory ({} members, {} bytes from byte {}) does not fit into its {} bytes", path(),
        count, bytes, begin, file_->size());
  const std::vector<char> directory = read_bytes(*file_, begin, bytes);
  int64_t at = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const char* entry = directory.data() + at;
    const auto damaged = [&] {
      return data_error("{}: entry {} of the zip archive's directory is damaged", path(), i);
    };
    if (bytes - at < kEntry || std::memcmp(entry, "PK\1\2", 4) != 0) throw damaged();
    const int64_t name_bytes = number_at<uint16_t>(entry + 28), extra_bytes = number_at<uint16_t>(entry + 30);
    const int64_t comment_bytes = number_at<uint16_t>(entry + 32);
    if (bytes - at - kEntry < name_bytes + extra_bytes + comment_bytes) throw damaged();
    const std::string name(entry + kEntry, static_cast<size_t>(name_bytes));
    const auto packed = number_at<uint32_t>(entry + 20), size = number_at<uint32_t>(entry + 24);
    const auto header = number_at<uint32_t>(entry + 42);
    const auto flags = number_at<uint16_t>(entry + 8), method = number_at<uint16_t>(entry + 10);
    ZipMember member{name, header, packed, size, number_at<uint32_t>(entry + 16), method == Z_DEFLATED};
    apply_zip64(entry + kEntry + name_bytes, static_cast<size_t>(extra_bytes), size, packed, header, &member);
    const std::string subject = subject_of(path(), name);
    if ((flags & 1) != 0) throw data_error("{} is encrypted", subject);
    if (method != 0 && method != Z_DEFLATED)
      throw data_error("{} is compressed by method {}; stored and deflated members are supported", subject, method);
    if (member.header < 0 || member.packed < 0 || member.size < 0 || member.packed > file_->size() ||
        member.header > file_->size() - kLocalHeader || member.size / kBestRatio > member.packed ||
        (method == 0 && member.size != member.packed))
      throw data_error("{} is damaged: {} bytes, {} in the archive, from byte {}", subject, member.size, member.packed,
                       member.header);
    index_[name] = members_.size();
    members_.push_back(member);
    at += kEntry + name_bytes + extra_bytes + comment_bytes;
  }
}

const ZipMember* ZipFile::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &members_[found->second];
}

std::unique_ptr<ByteStream> ZipFile::open(const ZipMember& member) const {
  const std::string subject = subject_of(path(), member.name);
  const std::vector<char> local = read_bytes(*file_, member.header, kLocalHeader);
  const int64_t offset =
      member.header + kLocalHeader + number_at<uint16_t>(local.data() + 26) + number_at<uint16_t>(local.data() + 28);
  if (std::memcmp(local.data(), "PK\3\4", 4) != 0 || offset > file_->size() - member.packed)
    throw data_error("{} is damaged: there is no content at byte {}", subject, member.header);
  if (!member.deflated) return std::make_unique<FileStream>(*file_, offset);
  return std::make_unique<InflateStream>(*file_, subject, offset, member.packed);
}

}  // namespace trainer
