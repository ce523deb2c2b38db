// Writes and reads archives of NumPy arrays. The structures are those of PKWARE's APPNOTE.TXT.
#include "formats/npz_file.h"

#include <zlib.h>

#include <cstring>

#include "base/error.h"
#include "formats/input_file.h"
#include "formats/npy_writer.h"

namespace trainer {
namespace {

constexpr int64_t kLargestZip = 0xFFFFFFFF;
constexpr uint32_t kLocalHeader = 0x04034B50, kCentralHeader = 0x02014B50, kEndOfDirectory = 0x06054B50;
constexpr uint16_t kVersion = 20, kDate = 1 << 5 | 1;  // 1 January 1980
constexpr int64_t kLocalBytes = 30;

void append16(std::string& out, int64_t value) {
  out += static_cast<char>(value & 255);
  out += static_cast<char>(value >> 8 & 255);
}
void append32(std::string& out, int64_t value) {
  append16(out, value & 0xFFFF);
  append16(out, value >> 16);
}
int64_t number(const std::string& bytes, size_t at, size_t count) {
  int64_t value = 0;
  for (size_t i = count; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// One file of the archive, stored.
struct Entry {
  std::string name, header;  // of the array
  const NpzArray* array;
  int64_t bytes, offset = 0;
  uLong checksum = 0;

  explicit Entry(const NpzArray& source)
      : name(source.name + ".npy"), header(npy_header(source.shape)), array(&source) {
    bytes = static_cast<int64_t>(header.size()) + source.shape.count() * 4;
    checksum = crc32_z(0, reinterpret_cast<const Bytef*>(header.data()), header.size());
    checksum =
        crc32_z(checksum, reinterpret_cast<const Bytef*>(source.values), static_cast<size_t>(source.shape.count()) * 4);
  }

  // What both headers have: version, flags (UTF-8), method, time, date, checksum, sizes, length of the name.
  void append_common(std::string& out) const {
    append16(out, kVersion);
    append16(out, 1 << 11);
    append16(out, 0);
    append16(out, 0);
    append16(out, kDate);
    append32(out, static_cast<int64_t>(checksum));
    append32(out, bytes);
    append32(out, bytes);
    append16(out, static_cast<int64_t>(name.size()));
    append16(out, 0);
  }
  std::string local() const {
    std::string out;
    append32(out, kLocalHeader);
    append_common(out);
    return out + name;
  }
  std::string central() const {
    std::string out;
    append32(out, kCentralHeader);
    append16(out, kVersion);
    append_common(out);
    out.append(10, '\0');  // no comment, first disk, no attributes
    append32(out, offset);
    return out + name;
  }
};

std::string end_of_directory(size_t entries, int64_t offset, size_t bytes) {
  std::string out;
  append32(out, kEndOfDirectory);
  append32(out, 0);
  append16(out, static_cast<int64_t>(entries));
  append16(out, static_cast<int64_t>(entries));
  append32(out, static_cast<int64_t>(bytes));
  append32(out, offset);
  append16(out, 0);
  return out;
}

}  // namespace

void write_npz(AtomicFile& file, const std::vector<NpzArray>& arrays) {
  std::vector<Entry> entries;
  std::string directory;
  int64_t offset = 0;
  for (const NpzArray& array : arrays) {
    entries.emplace_back(array);
    entries.back().offset = offset;
    offset += static_cast<int64_t>(entries.back().local().size()) + entries.back().bytes;
    directory += entries.back().central();
  }
  const std::string end = end_of_directory(entries.size(), offset, directory.size());
  const int64_t total = offset + static_cast<int64_t>(directory.size() + end.size());
  if (total > kLargestZip || entries.size() > 0xFFFF)
    throw data_error(
        "cannot write {}: an .npz holds at most 65535 arrays and 4 GiB, and the net has {} arrays and {} "
        "bytes. Export another format",
        file.path(), entries.size(), total);
  file.expect(total);
  for (const Entry& entry : entries) {
    const std::string head = entry.local() + entry.header;
    file.write(head.data(), head.size());
    file.write(entry.array->values, static_cast<size_t>(entry.array->shape.count()) * 4);
  }
  file.write(directory.data(), directory.size());
  file.write(end.data(), end.size());
}

std::map<std::string, std::vector<float>> read_npz(const std::string& path) {
  const InputFile file(path, "NumPy archive");
  std::map<std::string, std::vector<float>> arrays;
  const auto text = [&](int64_t at, int64_t count) {
    std::string bytes(static_cast<size_t>(count), '\0');
    file.read(at, bytes.data(), count);
    return bytes;
  };
  for (int64_t at = 0; number(text(at, 4), 0, 4) == kLocalHeader;) {
    const std::string head = text(at, kLocalBytes);
    const int64_t bytes = number(head, 18, 4), name_bytes = number(head, 26, 2), data = at + kLocalBytes + name_bytes;
    const std::string name = text(at + kLocalBytes, name_bytes);
    const int64_t header = 10 + number(text(data, 10), 8, 2);
    std::vector<float>& values = arrays[name.substr(0, name.size() - 4)];
    values.resize(static_cast<size_t>((bytes - header) / 4));
    file.read(data + header, values.data(), bytes - header);
    at = data + bytes;
  }
  return arrays;
}

}  // namespace trainer
