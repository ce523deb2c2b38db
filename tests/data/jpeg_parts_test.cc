// Parts of JPEG files, at full size and reduced, against TurboJPEG's decoding of the whole picture.
#include <gtest/gtest.h>
#include <turbojpeg.h>

#include <random>

#include "base/error.h"
#include "data/jpeg_file.h"
#include "data/pictures/image_decoder.h"

namespace trainer {
namespace {

struct Form {
  int subsampling;
  int flags;
};

std::vector<uint8_t> some_pixels(int height, int width, int channels) {
  std::mt19937 random(5);
  std::vector<uint8_t> pixels;
  for (int i = 0; i < height * width * channels; ++i)
    pixels.push_back(static_cast<uint8_t>(128 + 90 * ((i / 7) % 2) - i % 97 + random() % 20));
  return pixels;
}

std::string compressed(int height, int width, const Form& form, bool cmyk) {
  const std::vector<uint8_t> pixels = some_pixels(height, width, cmyk ? 4 : 3);
  return test::jpeg_file(pixels, height, width, {cmyk ? TJPF_CMYK : TJPF_BGR, form.subsampling, 90, form.flags});
}

// The whole picture at 1/reduction.
std::vector<uint8_t> whole(const std::string& file, const ItemShape& shape, int reduction) {
  const tjscalingfactor factor{1, reduction};
  const int width = TJSCALED(static_cast<int>(shape.width), factor);
  const int height = TJSCALED(static_cast<int>(shape.height), factor);
  std::vector<uint8_t> pixels(static_cast<size_t>(height * width) * static_cast<size_t>(shape.channels));
  tjhandle jpeg = tjInitDecompress();
  EXPECT_EQ(tjDecompress2(jpeg, reinterpret_cast<const unsigned char*>(file.data()), file.size(), pixels.data(), width,
                          0, height, shape.channels == 1 ? TJPF_GRAY : TJPF_BGR, 0),
            0);
  tjDestroy(jpeg);
  return pixels;
}

class Part : public PartChoice {
 public:
  explicit Part(const PicturePart& part) : part_(part) {}
  PicturePart choose(const ItemShape& picture) override {
    shape = picture;
    return part_;
  }
  ItemShape shape;

 private:
  PicturePart part_;
};

PicturePart some_part(std::mt19937& random, int height, int width, int reduction) {
  const auto below = [&](int bound) { return static_cast<int64_t>(random() % static_cast<unsigned>(bound)); };
  Rectangle part;
  part.height = 4 * reduction + below(height - 4 * reduction + 1);
  part.width = 4 * reduction + below(width - 4 * reduction + 1);
  part.y = below(height - static_cast<int>(part.height) + 1);
  part.x = below(width - static_cast<int>(part.width) + 1);
  PicturePart result(part);
  if (reduction > 1) {  // the largest size that allows it
    result.height = part.height / (2 * reduction);
    result.width = part.width / (2 * reduction);
  }
  return result;
}

void expect_part(const PixelView& view, const Rectangle& part, const std::vector<uint8_t>& expected) {
  const int64_t by = view.reduction, channels = view.shape.channels, width = (view.shape.width + by - 1) / by;
  for (int64_t y = part.y / by; y * by < part.y + part.height; ++y) {
    for (int64_t x = part.x / by; x * by < part.x + part.width; ++x) {
      for (int64_t c = 0; c < channels; ++c) {
        const auto at = static_cast<size_t>((y * width + x) * channels + c);
        ASSERT_EQ(view.bytes[at], expected[at]) << "at " << y << ", " << x << ", channel " << c;
      }
    }
  }
}

TEST(JpegParts, EqualTheSamePartsOfTheWholePicture) {
  std::mt19937 random(7);
  ImageDecoder decoder;
  for (const auto& [height, width] : {std::pair{157, 203}, {240, 320}, {33, 500}}) {
    for (const int subsampling : {TJSAMP_444, TJSAMP_422, TJSAMP_420, TJSAMP_440, TJSAMP_411, TJSAMP_GRAY}) {
      for (const int flags : {0, TJFLAG_PROGRESSIVE}) {
        const std::string file = compressed(height, width, {subsampling, flags}, false);
        for (const ColorMode mode : {ColorMode::kColor, ColorMode::kGray}) {
          for (const int reduction : {1, 2, 4, 8}) {
            const ItemShape shape{channels_of(mode, 3), height, width};
            const std::vector<uint8_t> expected = whole(file, shape, reduction);
            for (int i = 0; i < 8 && height >= 4 * reduction; ++i) {
              const PicturePart wanted = some_part(random, height, width, reduction);
              SCOPED_TRACE(fmt::format("{}x{}, subsampling {}, flags {}, mode {}, 1/{}: {}x{} at {}, {}", height, width,
                                       subsampling, flags, static_cast<int>(mode), reduction, wanted.pixels.height,
                                       wanted.pixels.width, wanted.pixels.y, wanted.pixels.x));
              Part part(wanted);
              const PixelView view = decoder.decode(file, mode, &part);
              ASSERT_EQ(view.shape, shape);
              ASSERT_EQ(part.shape, shape);
              ASSERT_EQ(view.reduction, wanted.reduction());
              if (view.reduction == reduction) expect_part(view, wanted.pixels, expected);
            }
          }
        }
      }
    }
  }
}

TEST(JpegParts, OfCmykEqualTheSamePartsOfTheWholePicture) {
  const int height = 157, width = 203;
  const std::string file = compressed(height, width, {TJSAMP_420, 0}, true);
  ImageDecoder decoder, other;
  const PixelView expected = other.decode(file, ColorMode::kColor);
  const std::vector<uint8_t> pixels(expected.bytes, expected.bytes + expected.shape.count());
  std::mt19937 random(7);
  for (int i = 0; i < 20; ++i) {
    const PicturePart wanted = some_part(random, height, width, 1);
    Part part(wanted);
    expect_part(decoder.decode(file, ColorMode::kColor, &part), wanted.pixels, pixels);
  }
}

TEST(JpegParts, AreReducedWhileTheyStayTwiceAsLargeAsTheResult) {
  PicturePart part(Rectangle{0, 0, 896, 1000});
  EXPECT_EQ(part.reduction(), 1);
  part.height = part.width = 224;
  EXPECT_EQ(part.reduction(), 2);
  part.pixels.height = 895;
  EXPECT_EQ(part.reduction(), 1);
  part.height = part.width = 28;
  EXPECT_EQ(part.reduction(), 8);
  part.height = part.width = 1;
  EXPECT_EQ(part.reduction(), 8);
}

TEST(JpegParts, OfATruncatedFileAreRefused) {
  const std::string file = compressed(240, 320, {TJSAMP_420, 0}, false);
  ImageDecoder decoder;
  const PicturePart top(Rectangle{0, 0, 40, 320});
  for (const std::string& damaged : {file.substr(0, file.size() / 2), file.substr(0, file.size() - 2)}) {
    Part part(top);
    EXPECT_THROW(decoder.decode(damaged, ColorMode::kColor, &part), Error);
  }
  Part part(top);
  expect_part(decoder.decode(file + "after the image", ColorMode::kColor, &part), {0, 0, 40, 320},
              whole(file, {3, 240, 320}, 1));
}

}  // namespace
}  // namespace trainer
