// The bytes of zip archives with stored members, as torch.save and numpy.savez write them.
#pragma once

#include <zlib.h>

#include <string>
#include <utility>
#include <vector>

namespace trainer::test {

inline std::string little_endian(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i) & 255);
  return out;
}

inline std::string zip_bytes(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string out, directory;
  for (const auto& [name, content] : members) {
    const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(content.data()), static_cast<uInt>(content.size()));
    // Flags, method, time, date, checksum, both sizes, length of the name and of extra fields.
    const std::string common = std::string(8, '\0') + little_endian(crc, 4) + little_endian(content.size(), 4) +
                               little_endian(content.size(), 4) + little_endian(name.size(), 2) + little_endian(0, 2);
    directory += "PK\1\2" + little_endian(20, 2) + little_endian(20, 2) + common + std::string(10, '\0') +
                 little_endian(out.size(), 4) + name;
    out += "PK\3\4" + little_endian(20, 2) + common + name + content;
  }
  return out + directory + "PK\5\6" + std::string(4, '\0') + little_endian(members.size(), 2) +
         little_endian(members.size(), 2) + little_endian(directory.size(), 4) + little_endian(out.size(), 4) +
         std::string(2, '\0');
}

}  // namespace trainer::test
