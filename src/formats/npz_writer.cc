// Writes archives of NumPy arrays. The structures are those of PKWARE's APPNOTE.TXT.
#include "formats/npz_writer.h"

#include <zlib.h>

#include <algorithm>

#include "base/error.h"
#include "formats/npy_writer.h"

namespace trainer {
namespace {

constexpr int64_t kLargestZip = 0xFFFFFFFF;
constexpr size_t kLargestNumber = 0xFFFF;  // of members, and of the bytes of a name
constexpr int64_t kLocalHeader = 0x04034B50, kCentralHeader = 0x02014B50, kEndOfDirectory = 0x06054B50;
constexpr int64_t kVersion = 20, kUtf8 = 1 << 11, kDate = 1 << 5 | 1;  // 1 January 1980
constexpr int64_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22;

void append16(std::string& out, int64_t value) {
  out += static_cast<char>(value & 255);
  out += static_cast<char>(value >> 8 & 255);
}
void append32(std::string& out, int64_t value) {
  append16(out, value & 0xFFFF);
  append16(out, value >> 16);
}

// A stored member.
struct Member {
  std::string name, header;  // the header is that of the array
  int64_t bytes = 0;         // of header and values

  explicit Member(const StoredTensor& tensor)
      : name(tensor.name + ".npy"),
        header(npy_header(tensor.shape)),
        bytes(static_cast<int64_t>(header.size()) + tensor.shape.count() * 4) {}

  // The part that is equal in both headers: version, flags, method, time, date, checksum, sizes, length of the name and
  // of extra fields.
  std::string common(uLong checksum) const {
    std::string out;
    append16(out, kVersion);
    append16(out, kUtf8);
    append32(out, 0);
    append16(out, kDate);
    append32(out, static_cast<int64_t>(checksum));
    append32(out, bytes);
    append32(out, bytes);
    append16(out, static_cast<int64_t>(name.size()));
    append16(out, 0);
    return out;
  }
  int64_t bytes_in_archive() const {
    return kLocalBytes + kCentralBytes + 2 * static_cast<int64_t>(name.size()) + bytes;
  }
};

std::string local_header(const Member& member, uLong checksum) {
  std::string out;
  append32(out, kLocalHeader);
  return out + member.common(checksum) + member.name;
}

std::string central_header(const Member& member, uLong checksum, int64_t offset) {
  std::string out;
  append32(out, kCentralHeader);
  append16(out, kVersion);
  out += member.common(checksum);
  out.append(10, '\0');  // no comment, first disk, no attributes
  append32(out, offset);
  return out + member.name;
}

std::string end_of_directory(size_t members, int64_t offset, size_t bytes) {
  std::string out;
  append32(out, kEndOfDirectory);
  append32(out, 0);
  append16(out, static_cast<int64_t>(members));
  append16(out, static_cast<int64_t>(members));
  append32(out, static_cast<int64_t>(bytes));
  append32(out, offset);
  append16(out, 0);
  return out;
}

int64_t checked_size(const std::string& path, const std::vector<Member>& members) {
  int64_t total = kEndBytes;
  size_t longest = 0;
  for (const Member& member : members) {
    total += member.bytes_in_archive();
    longest = std::max(longest, member.name.size());
  }
  if (total > kLargestZip || members.size() > kLargestNumber || longest > kLargestNumber)
    throw data_error(
        "cannot write {}: an .npz holds at most 65535 arrays and 4 GiB, and these are {} arrays and {} bytes. Write a "
        ".safetensors file",
        path, members.size(), total);
  return total;
}

}  // namespace

void write_npz(AtomicFile& file, const std::vector<StoredTensor>& tensors) {
  const std::vector<Member> members(tensors.begin(), tensors.end());
  file.expect(checked_size(file.path(), members));
  std::string directory;
  int64_t offset = 0;
  for (size_t i = 0; i < members.size(); ++i) {
    const std::string& header = members[i].header;
    const std::vector<float> values = tensors[i].values();
    uLong checksum = crc32_z(0, reinterpret_cast<const Bytef*>(header.data()), header.size());
    checksum = crc32_z(checksum, reinterpret_cast<const Bytef*>(values.data()), values.size() * sizeof(float));
    const std::string head = local_header(members[i], checksum) + header;
    file.write(head.data(), head.size());
    file.write(values.data(), values.size() * sizeof(float));
    directory += central_header(members[i], checksum, offset);
    offset += static_cast<int64_t>(head.size() + values.size() * sizeof(float));
  }
  directory += end_of_directory(members.size(), offset, directory.size());
  file.write(directory.data(), directory.size());
}

}  // namespace trainer
