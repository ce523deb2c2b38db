// Reads one entry of the first directory, and trusts no offset or count.
#include "data/pictures/formats/exif.h"

#include "data/pictures/formats/bytes.h"

namespace trainer {

int exif_orientation(std::string_view exif) {
  constexpr std::string_view kPrefix("Exif\0\0", 6);
  constexpr uint32_t kOrientation = 0x112, kShort = 3;
  if (exif.starts_with(kPrefix)) exif.remove_prefix(kPrefix.size());
  const bool little = exif.starts_with(std::string_view("II*\0", 4));
  if (exif.size() < 8 || (!little && !exif.starts_with(std::string_view("MM\0*", 4)))) return 1;
  const auto number = [&](size_t at, size_t bytes) {
    return little ? little_endian(exif, at, bytes) : big_endian(exif, at, bytes);
  };

  const size_t directory = number(4, 4);
  if (directory + 2 > exif.size()) return 1;
  const size_t entries = number(directory, 2);
  // An entry: tag, type, count, value.
  for (size_t at = directory + 2, i = 0; i < entries && at + 12 <= exif.size(); ++i, at += 12) {
    if (number(at, 2) != kOrientation) continue;
    const uint32_t value = number(at + 8, 2);
    return number(at + 2, 2) == kShort && value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace trainer
