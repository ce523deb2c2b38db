// PPM, PGM and BMP files, byte by byte.
#include <numeric>

#include "data/pictures/image_decoder.h"
#include "data/small_data.h"

namespace trainer {
namespace {

using test::error_text;
using test::expect_contains;

std::vector<int> pixels(const std::string& file, ColorMode mode, const ItemShape& shape) {
  ImageDecoder decoder;
  EXPECT_EQ(decoder.shape(file, mode), shape) << decoder.shape(file, mode).text();
  const PixelView view = decoder.decode(file, mode);
  EXPECT_EQ(view.shape, shape);
  return std::vector<int>(view.bytes, view.bytes + view.shape.count());
}

std::string bytes(std::initializer_list<int> values) {
  std::string text;
  for (int value : values) text.push_back(static_cast<char>(value));
  return text;
}

std::string little(uint32_t value, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}

std::string bmp(int width, int height, int bits, const std::string& palette, const std::string& lines) {
  const auto offset = static_cast<uint32_t>(54 + palette.size());
  return "BM" + little(0, 4) + little(0, 4) + little(offset, 4) + little(40, 4) +
         little(static_cast<uint32_t>(width), 4) + little(static_cast<uint32_t>(height), 4) + little(1, 2) +
         little(static_cast<uint32_t>(bits), 2) + little(0, 4) + little(0, 4) + little(0, 4) + little(0, 4) +
         little(static_cast<uint32_t>(palette.size() / 4), 4) + little(0, 4) + palette + lines;
}

TEST(UncompressedImages, Pnm) {
  const std::string colour = "P6 # a comment\n2 1\n255\n" + bytes({10, 20, 30, 200, 100, 50});
  EXPECT_EQ(pixels(colour, ColorMode::kAsStored, {3, 1, 2}), (std::vector<int>{30, 20, 10, 50, 100, 200}));
  // (4899 R + 9617 G + 1868 B + 8192) / 16384.
  EXPECT_EQ(pixels(colour, ColorMode::kGray, {1, 1, 2}), (std::vector<int>{18, 124}));
  const std::string gray = "P5\n1 3\n255\n" + bytes({7, 77, 250});
  EXPECT_EQ(pixels(gray, ColorMode::kAsStored, {1, 3, 1}), (std::vector<int>{7, 77, 250}));
  EXPECT_EQ(pixels(gray, ColorMode::kColor, {3, 3, 1}), (std::vector<int>{7, 7, 7, 77, 77, 77, 250, 250, 250}));
  EXPECT_EQ(pixels("P2 2 1 255 7 255\n", ColorMode::kAsStored, {1, 1, 2}), (std::vector<int>{7, 255}));
  EXPECT_EQ(pixels("P3 1 1 255 1 2 3\n", ColorMode::kAsStored, {3, 1, 1}), (std::vector<int>{3, 2, 1}));
}

TEST(UncompressedImages, Bmp) {
  // Two lines of two pixels, the lower one first, padded to 8 bytes.
  const std::string lines = bytes({1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 9, 10, 11, 12, 0, 0});
  EXPECT_EQ(pixels(bmp(2, 2, 24, "", lines), ColorMode::kAsStored, {3, 2, 2}),
            (std::vector<int>{7, 8, 9, 10, 11, 12, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(pixels(bmp(2, -2, 24, "", lines), ColorMode::kColor, {3, 2, 2}),
            (std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
  const std::string grays = bytes({5, 5, 5, 0, 90, 90, 90, 0}), colours = bytes({1, 2, 3, 0, 4, 5, 6, 0});
  EXPECT_EQ(pixels(bmp(2, 1, 8, grays, bytes({1, 0, 0, 0})), ColorMode::kAsStored, {1, 1, 2}),
            (std::vector<int>{90, 5}));
  EXPECT_EQ(pixels(bmp(2, 1, 8, colours, bytes({1, 0, 0, 0})), ColorMode::kAsStored, {3, 1, 2}),
            (std::vector<int>{4, 5, 6, 1, 2, 3}));
}

TEST(UncompressedImages, WhatIsRefusedIsNamed) {
  const auto reason = [](const std::string& file) {
    return error_text([&] { ImageDecoder().decode(file, ColorMode::kColor); });
  };
  expect_contains(reason("P6 2 2 65535\n"), {"65535", "8 bits"});
  expect_contains(reason("P6 2 2 255\nabc"), {"ends too early"});
  expect_contains(reason("P6 0 2 255\n"), {"extents"});
  expect_contains(reason("P6 99999999 99999999 255\n"), {"count as damage"});
  expect_contains(reason("P6 x"), {"no number at byte 3"});
  expect_contains(reason("P2 1 1 255"), {"no number"});
  expect_contains(reason("P4 1 1 "), {"PBM"});
  expect_contains(reason(bmp(2, 2, 24, "", "abc")), {"ends too early"});
  expect_contains(reason(bmp(2, 2, 16, "", "")), {"16 bits"});
  expect_contains(reason(bmp(2, 1, 8, bytes({0, 0, 0, 0}), bytes({0, 9, 0, 0}))), {"outside its palette"});
}

TEST(UncompressedImages, EveryDamagedByteEndsInPixelsOrAnError) {
  const std::string lines = bytes({1, 2, 3, 4, 5, 6, 0, 0});
  for (const std::string& file : {bmp(2, 1, 24, "", lines), bmp(2, 1, 8, bytes({1, 2, 3, 0}), bytes({0, 0, 0, 0})),
                                  "P6 2 1 255\n" + lines, std::string("P3 1 1 255 1 2 3\n")}) {
    for (size_t at = 0; at < file.size(); ++at) {
      for (int change : {0xFF, 0x80, 0x01, 0x10}) {
        std::string damaged = file;
        damaged[at] = static_cast<char>(damaged[at] ^ change);
        try {
          ImageDecoder().decode(damaged, ColorMode::kColor);
          ImageDecoder().decode(damaged.substr(0, at), ColorMode::kGray);
        } catch (const Error& error) {
          EXPECT_EQ(error.code(), ExitCode::kData);
        }
      }
    }
  }
}

}  // namespace
}  // namespace trainer
