// Encoded records: PNG and JPEG, colour order, forced channels, rejected files.
#include <png.h>

#include <cstdlib>

#include "data/jpeg_file.h"
#include "data/pictures/image_decoder.h"
#include "data/small_data.h"

namespace trainer {
namespace {

using test::data_layer;
using test::error_text;
using test::expect_contains;
using test::options;

// Writes with libpng's simplified interface; the format gives the channels.
std::string png(const std::vector<uint8_t>& pixels, uint32_t width, uint32_t height, uint32_t format) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = format;
  png_alloc_size_t size = 0;
  EXPECT_TRUE(png_image_write_get_memory_size(image, size, 0, pixels.data(), 0, nullptr));
  std::string file(size, '\0');
  EXPECT_TRUE(png_image_write_to_memory(&image, file.data(), &size, 0, pixels.data(), 0, nullptr));
  file.resize(size);
  return file;
}

// Removes the chunks that give the file's gamma: with them, libpng (and so OpenCV) weights colours in linear light.
std::string without_gamma(const std::string& file) {
  std::string result = file.substr(0, 8);
  for (size_t at = 8; at + 12 <= file.size();) {
    uint32_t length = 0;
    for (size_t i = 0; i < 4; ++i) length = length << 8 | static_cast<uint8_t>(file[at + i]);
    const std::string type = file.substr(at + 4, 4);
    if (type != "gAMA" && type != "sRGB" && type != "cHRM") result += file.substr(at, length + 12);
    at += length + 12;
  }
  return result;
}

std::string jpeg(const std::vector<uint8_t>& pixels, int width, int height, int format, int subsampling) {
  return test::jpeg_file(pixels, height, width, {format, subsampling, 95, 0});
}

std::string encoded(const std::string& file, int label) {
  caffe::Datum datum;
  datum.set_data(file);
  datum.set_encoded(true);
  datum.set_label(label);
  return datum.SerializeAsString();
}

std::vector<float> first_data(const std::string& record, const std::string& transform, const Shape& expected) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", {{"0", record}});
  auto stream = test::open_stream(data_layer(folder / "db", 1, "", transform), options());
  EXPECT_EQ(stream->next_batch_descs()[0].shape, expected);
  stream->start();
  return test::take_many(*stream, 1)[0].tops[0];
}

// Two pixels in R, G, B.
const std::vector<uint8_t> kColours = {10, 20, 30, 200, 100, 50};

TEST(EncodedRecords, PngColourIsBlueGreenRedPlanes) {
  const std::string record = encoded(png(kColours, 2, 1, PNG_FORMAT_RGB), 0);
  EXPECT_EQ(first_data(record, "", Shape{1, 3, 1, 2}), (std::vector<float>{30, 50, 20, 100, 10, 200}));
}

TEST(EncodedRecords, PngForcedToGray) {
  const std::string record = encoded(without_gamma(png(kColours, 2, 1, PNG_FORMAT_RGB)), 0);
  const std::vector<float> gray = first_data(record, "force_gray: true", Shape{1, 1, 1, 2});
  // 0.299 R + 0.587 G + 0.114 B.
  EXPECT_NEAR(gray[0], 18.15, 1.0);
  EXPECT_NEAR(gray[1], 124.2, 1.0);
}

TEST(EncodedRecords, PngGrayStaysOneChannelOrIsForcedToThree) {
  const std::string record = encoded(png({7, 77, 177, 250}, 2, 2, PNG_FORMAT_GRAY), 0);
  EXPECT_EQ(first_data(record, "", Shape{1, 1, 2, 2}), (std::vector<float>{7, 77, 177, 250}));
  EXPECT_EQ(first_data(record, "force_color: true", Shape{1, 3, 2, 2}),
            (std::vector<float>{7, 77, 177, 250, 7, 77, 177, 250, 7, 77, 177, 250}));
}

TEST(EncodedRecords, PngWithTransparencyHasFourChannelsAsStored) {
  const std::string record = encoded(png({10, 20, 30, 255, 40, 50, 60, 0}, 2, 1, PNG_FORMAT_RGBA), 0);
  EXPECT_EQ(first_data(record, "", Shape{1, 4, 1, 2}), (std::vector<float>{30, 60, 20, 50, 10, 40, 255, 0}));
  EXPECT_EQ(first_data(record, "force_color: true", Shape{1, 3, 1, 2}), (std::vector<float>{30, 60, 20, 50, 10, 40}));
}

TEST(EncodedRecords, JpegColourAndGray) {
  std::vector<uint8_t> flat;
  for (int i = 0; i < 64; ++i) flat.insert(flat.end(), {200, 100, 50});
  const std::string colour = encoded(jpeg(flat, 8, 8, TJPF_RGB, TJSAMP_444), 0);
  const std::vector<float> planes = first_data(colour, "", Shape{1, 3, 8, 8});
  EXPECT_NEAR(planes[0], 50, 2);
  EXPECT_NEAR(planes[64], 100, 2);
  EXPECT_NEAR(planes[128], 200, 2);
  EXPECT_NEAR(first_data(colour, "force_gray: true", Shape{1, 1, 8, 8})[0], 124.2, 2);
  const std::string gray = encoded(jpeg(std::vector<uint8_t>(64, 90), 8, 8, TJPF_GRAY, TJSAMP_GRAY), 0);
  EXPECT_NEAR(first_data(gray, "", Shape{1, 1, 8, 8})[0], 90, 1);
  EXPECT_NEAR(first_data(gray, "force_color: true", Shape{1, 3, 8, 8})[191], 90, 1);
}

TEST(EncodedRecords, InksOfACmykJpegBecomeColours) {
  // Adobe stores inks inverted: 255 means no ink. Full yellow and half black: a dark picture without blue.
  std::vector<uint8_t> inks;
  for (int i = 0; i < 64; ++i) inks.insert(inks.end(), {255, 255, 0, 128});
  const std::string record = encoded(jpeg(inks, 8, 8, TJPF_CMYK, TJSAMP_444), 0);
  const std::vector<float> planes = first_data(record, "", Shape{1, 3, 8, 8});
  EXPECT_NEAR(planes[0], 0, 4);
  EXPECT_NEAR(planes[64], 128, 4);
  EXPECT_NEAR(planes[128], 128, 4);
}

TEST(EncodedRecords, DamagedAndForeignFilesAreNamed) {
  std::vector<uint8_t> noise;
  for (int i = 0; i < 64 * 64 * 3; ++i) noise.push_back(static_cast<uint8_t>(i * 7919 % 256));
  const std::string whole_jpeg = jpeg(noise, 64, 64, TJPF_RGB, TJSAMP_420);
  const std::string whole_png = png(noise, 64, 64, PNG_FORMAT_RGB);
  ImageDecoder decoder;
  const auto reason = [&](const std::string& file) {
    return error_text([&] { decoder.decode(file, ColorMode::kAsStored); });
  };
  expect_contains(reason(whole_jpeg.substr(0, whole_jpeg.size() / 2)), {"damaged JPEG", "remature end"});
  expect_contains(reason(whole_jpeg.substr(0, 20)), {"damaged JPEG"});
  expect_contains(reason(whole_png.substr(0, whole_png.size() / 2)), {"damaged PNG"});
  expect_contains(reason(whole_png.substr(0, 12)), {"damaged PNG"});
  expect_contains(reason("GIF89a"), {"GIF file"});
  expect_contains(reason(""), {"empty"});
  expect_contains(reason("hello"), {"unknown format", "JPEG, PNG, PNM, BMP"});
  // The decoder still works after the error.
  EXPECT_EQ(decoder.decode(whole_jpeg, ColorMode::kGray).shape, (ItemShape{1, 64, 64}));
}

std::string bmp_header(int32_t width, int32_t height) {
  std::string file(58, '\0');
  file[0] = 'B', file[1] = 'M', file[10] = 54, file[14] = 40, file[26] = 1, file[28] = 24;
  std::memcpy(file.data() + 18, &width, 4);
  std::memcpy(file.data() + 22, &height, 4);
  return file;
}

TEST(EncodedRecords, HugeExtentsAreDamage) {
  ImageDecoder decoder;
  for (const int32_t height : {2147483647, -2147483647 - 1, -2147483647}) {
    const std::string file = bmp_header(2147483647, height);
    expect_contains(test::error_text([&] { decoder.decode(file, ColorMode::kColor); }), {"count as damage"});
    expect_contains(test::error_text([&] { decoder.shape(file, ColorMode::kGray); }), {"count as damage"});
  }
  EXPECT_EQ(decoder.decode(bmp_header(1, 1), ColorMode::kColor).shape, (ItemShape{3, 1, 1}));
}

TEST(EncodedRecords, SixteenBitsAChannelAreCutToEight) {
  const uint16_t values[] = {0x1234, 0xFFFF};
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = 2;
  image.height = 1;
  image.format = PNG_FORMAT_LINEAR_Y;
  png_alloc_size_t size = 0;
  ASSERT_NE(png_image_write_to_memory(&image, nullptr, &size, 0, values, 0, nullptr), 0);
  std::string file(size, '\0');
  ASSERT_NE(png_image_write_to_memory(&image, file.data(), &size, 0, values, 0, nullptr), 0);
  ImageDecoder decoder;
  for (const ColorMode mode : {ColorMode::kGray, ColorMode::kAsStored}) {
    const PixelView view = decoder.decode(file, mode);
    EXPECT_EQ(view.bytes[0], 0x12);
    EXPECT_EQ(view.bytes[1], 0xFF);
  }
}

TEST(EncodedRecords, EveryDamagedByteEndsInPixelsOrAnError) {
  std::vector<uint8_t> noise;
  for (int i = 0; i < 16 * 16 * 3; ++i) noise.push_back(static_cast<uint8_t>(i * 7919 % 256));
  ImageDecoder decoder;
  for (const std::string& file : {jpeg(noise, 16, 16, TJPF_RGB, TJSAMP_420), png(noise, 16, 16, PNG_FORMAT_RGB)}) {
    for (size_t at = 0; at < file.size(); ++at) {
      std::string damaged = file;
      damaged[at] = static_cast<char>(damaged[at] ^ 0xFF);
      try {
        decoder.decode(damaged, ColorMode::kColor);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), ExitCode::kData);
      }
    }
  }
}

}  // namespace
}  // namespace trainer
