// The formats of image files: pixels as OpenCV gives them, EXIF orientation, refused and damaged files.
#include <array>
#include <fstream>
#include <map>
#include <sstream>

#include "data/pictures/formats/exif.h"
#include "data/pictures/image_decoder.h"
#include "data/small_data.h"

namespace trainer {
namespace {

using test::error_text;
using test::expect_contains;

struct Pixels {
  ItemShape shape;
  std::string bytes;
};

struct ImageFile {
  std::string bytes;
  std::map<std::string, Pixels> pixels;  // by mode: "stored", "color", "gray"
};

std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2) {
    bytes.push_back(static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  }
  return bytes;
}

// Reads image_files.txt, which describes its form.
std::map<std::string, ImageFile> read_files() {
  std::map<std::string, ImageFile> files;
  std::ifstream in(TRAINER_SOURCE_DIR "/tests/data/image_files.txt");
  ImageFile* file = nullptr;
  std::string* bytes = nullptr;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string first, second;
    words >> first >> second;
    if (line[0] == '#') continue;
    if (line[0] == ' ') {
      *bytes += from_hex(first);
    } else if (first == "file") {
      file = &files[second];
      bytes = &file->bytes;
    } else {
      Pixels& pixels = file->pixels[first];
      char x = 0;
      std::istringstream(second) >> pixels.shape.channels >> x >> pixels.shape.height >> x >> pixels.shape.width;
      bytes = &pixels.bytes;
    }
  }
  EXPECT_GT(files.size(), 50u);
  return files;
}

const std::map<std::string, ImageFile>& files() {
  static const std::map<std::string, ImageFile> all = read_files();
  return all;
}

const std::map<std::string, ColorMode> kModes = {
    {"stored", ColorMode::kAsStored}, {"color", ColorMode::kColor}, {"gray", ColorMode::kGray}};

// False for a format whose library this build lacks; checks the error then.
bool can_decode(const std::string& file) {
  const ImageFormat& format = format_of(file);
  try {
    make_decoder(format);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    const std::string name = format.name;
    expect_contains(error.what(), {"the image is a " + name + " file", "was built without " + name, "install lib"});
    return false;
  }
}

TEST(ImageFormats, PixelsEqualThoseOfOpenCv) {
  ImageDecoder decoder;
  for (const auto& [name, file] : files()) {
    if (!can_decode(file.bytes)) continue;
    for (const auto& [mode, expected] : file.pixels) {
      SCOPED_TRACE(name + " " + mode);
      EXPECT_EQ(decoder.shape(file.bytes, kModes.at(mode)), expected.shape);
      const PixelView view = decoder.decode(file.bytes, kModes.at(mode));
      ASSERT_EQ(view.shape, expected.shape) << view.shape.text();
      ASSERT_EQ(static_cast<size_t>(view.shape.count()), expected.bytes.size());
      for (size_t i = 0; i < expected.bytes.size(); ++i)
        EXPECT_EQ(view.bytes[i], static_cast<uint8_t>(expected.bytes[i])) << "at byte " << i;
    }
  }
}

TEST(ImageFormats, WhatIsRefusedIsNamed) {
  const auto expect_reason = [](const std::string& file, const std::vector<std::string>& parts) {
    if (!can_decode(file)) return;
    expect_contains(error_text([&] { ImageDecoder().decode(file, ColorMode::kColor); }), parts);
  };
  expect_reason(files().at("webp_animated").bytes, {"an animated WebP file"});
  expect_reason(files().at("tiff_float").bytes, {"a TIFF file that is not supported", "32-bit samples"});
  expect_reason(files().at("webp_lossy").bytes.substr(0, 80), {"a damaged WebP file: it ends too early"});
  expect_reason(files().at("tiff_gray").bytes.substr(0, 60), {"a damaged TIFF file"});
  expect_reason(files().at("gif").bytes.substr(0, 40), {"a damaged GIF file"});
  expect_reason("GIF89a" + std::string("\3\0\2\0\0\0\0;", 8), {"a damaged GIF file: it holds no image"});
  std::string large = files().at("gif").bytes;
  large[6] = 2;  // the width of the image is less than that of the frame
  expect_reason(large, {"exceeds the image"});
  for (const std::string& unknown : {std::string("RIFF"), std::string("II*"), std::string("\x89PNG")})
    expect_contains(error_text([&] { ImageDecoder().decode(unknown, ColorMode::kColor); }), {"unknown format"});
}

// A block of EXIF metadata with one entry.
std::string exif(bool little, uint32_t directory, uint32_t entries, uint32_t tag, uint32_t type, uint32_t value) {
  std::string block = little ? std::string("II*\0", 4) : std::string("MM\0*", 4);
  const auto put = [&](uint32_t number, int bytes) {
    for (int i = 0; i < bytes; ++i) block.push_back(static_cast<char>(number >> 8 * (little ? i : bytes - 1 - i)));
  };
  put(directory, 4), put(entries, 2), put(tag, 2), put(type, 2), put(1, 4), put(value, 2), put(0, 2);
  return block;
}

// A TIFF file of one strip with 4 bytes, without its pixels.
std::string tiff(uint16_t compression, uint32_t side) {
  constexpr uint16_t kShort = 3, kLong = 4;
  const std::array<std::array<uint32_t, 3>, 9> entries{{{256, kLong, side},
                                                        {257, kLong, side},
                                                        {258, kShort, 8},
                                                        {259, kShort, compression},
                                                        {262, kShort, 1},
                                                        {273, kLong, 122},
                                                        {277, kShort, 1},
                                                        {278, kLong, side},
                                                        {279, kLong, 4}}};
  std::string file("II*\0\x08\0\0\0\x09\0", 10);
  const auto put = [&](uint32_t number, int bytes) {
    for (int i = 0; i < bytes; ++i) file.push_back(static_cast<char>(number >> 8 * i));
  };
  for (const auto& [tag, type, value] : entries) put(tag, 2), put(type, 2), put(1, 4), put(value, 4);
  put(0, 4);
  return file + std::string("\1\2\3\4", 4);
}

TEST(ImageFormats, ATiffFileHoldsTheBytesThatItDeclares) {
  if (!can_decode(tiff(1, 2))) GTEST_SKIP() << "built without libtiff";
  ImageDecoder decoder;
  EXPECT_EQ(decoder.decode(tiff(1, 2), ColorMode::kAsStored).shape, (ItemShape{1, 2, 2}));
  constexpr uint16_t kNone = 1, kLzw = 5, kDeflate = 8, kPackBits = 32773;
  for (const auto& [compression, side] : {std::pair{kNone, 11}, {kLzw, 718}, {kDeflate, 360}, {kPackBits, 89}}) {
    const auto error = [&](int larger) {
      return error_text(
          [&] { decoder.decode(tiff(compression, static_cast<uint32_t>(side + larger)), ColorMode::kColor); });
    };
    expect_contains(error(0), {"a damaged TIFF file: "});
    EXPECT_EQ(error(0).find("126 bytes cannot hold"), std::string::npos) << error(0);
    expect_contains(error(side / 10), {"126 bytes cannot hold"});
  }
}

TEST(ImageFormats, DamagedExifMetadataCountsAsUpright) {
  constexpr uint32_t kTag = 0x112, kShort = 3;
  for (const bool little : {false, true}) {
    for (uint32_t value = 1; value <= 8; ++value)
      EXPECT_EQ(exif_orientation(exif(little, 8, 1, kTag, kShort, value)), static_cast<int>(value));
    EXPECT_EQ(exif_orientation(std::string("Exif\0\0", 6) + exif(little, 8, 1, kTag, kShort, 6)), 6);
    EXPECT_EQ(exif_orientation(exif(little, 8, 65535, kTag, kShort, 6)), 6);
    EXPECT_EQ(exif_orientation(exif(little, 8, 65535, kTag + 1, kShort, 6)), 1);
    EXPECT_EQ(exif_orientation(exif(little, 8, 0, kTag, kShort, 6)), 1);
    EXPECT_EQ(exif_orientation(exif(little, 8, 1, kTag, 2, 6)), 1);
    for (const uint32_t value : {0u, 9u, 65535u})
      EXPECT_EQ(exif_orientation(exif(little, 8, 1, kTag, kShort, value)), 1);
    for (const uint32_t directory : {0xFFFFFFFFu, 0x7FFFFFFFu, 21u, 22u})
      EXPECT_EQ(exif_orientation(exif(little, directory, 1, kTag, kShort, 6)), 1);
    const std::string whole = exif(little, 8, 1, kTag, kShort, 6);
    for (size_t size = 0; size < whole.size(); ++size) EXPECT_EQ(exif_orientation(whole.substr(0, size)), 1);
  }
}

// Decodes a damaged file: the result is pixels of the extents that its header gives, or an error.
void decode_damaged(ImageDecoder& decoder, const std::string& file, ColorMode mode) {
  try {
    const ItemShape shape = decoder.decode(file, mode).shape;
    EXPECT_EQ(shape, decoder.shape(file, mode));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData) << error.what();
  }
}

TEST(ImageFormats, EveryDamagedByteEndsInPixelsOrAnError) {
  ImageDecoder decoder;
  for (const auto& [name, file] : files()) {
    SCOPED_TRACE(name);
    const size_t dot = name.find('.');  // files of one format differ only in the orientation
    if (dot != std::string::npos && name.substr(dot) != ".6") continue;
    for (size_t at = 0; at < file.bytes.size(); ++at) {
      for (const int change : {0x55, 0xAA}) {
        std::string damaged = file.bytes;
        damaged[at] = static_cast<char>(damaged[at] ^ change);
        decode_damaged(decoder, damaged, at % 2 == 0 ? ColorMode::kColor : ColorMode::kAsStored);
      }
      decode_damaged(decoder, file.bytes.substr(0, at), ColorMode::kGray);
    }
  }
}

}  // namespace
}  // namespace trainer
