// The sheet of trainer preview, read back from its PNG.
#include "data/pictures/contact_sheet.h"

#include <gtest/gtest.h>

#include <set>

#include "data/pictures/image_decoder.h"

namespace trainer {
namespace {

// Two groups of two grey pictures of 28 x 14 pixels, shown with 56 x 28 pixels.
TEST(ContactSheet, PlacesPicturesBelowCaptions) {
  ContactSheet sheet(2, 2, 28, 14);
  std::vector<uint8_t> pixels(28 * 14);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<uint8_t>(i % 200);
  sheet.place(1, 1, {pixels.data(), 1, 28, 14, 14});
  sheet.caption(0, "1 is longer than its group");
  const std::string png = sheet.png();
  ImageDecoder decoder;
  const PixelView view = decoder.decode(png, ColorMode::kAsStored);
  ASSERT_EQ(view.shape, (ItemShape{3, 4 + 11 + 2 * 60 + 4, 4 + 2 * 32}));
  const auto at = [&](int64_t y, int64_t x, int64_t c) { return int{view.bytes[(y * view.shape.width + x) * 3 + c]}; };
  for (int y = 0; y < 56; ++y) {
    for (int x = 0; x < 28; ++x)
      for (int c = 0; c < 3; ++c)
        ASSERT_EQ(at(4 + 11 + 60 + y, 4 + 32 + x, c), (y / 2 * 14 + x / 2) % 200) << y << " " << x;
  }
  // The top of a 1; nothing beyond the width of the group.
  EXPECT_EQ(at(4, 4 + 2, 0), 40);
  EXPECT_EQ(at(4, 4, 0), 255);
  for (int y = 0; y < 11; ++y) {
    for (int x = 4 + 28; x < 4 + 2 * 32; ++x) EXPECT_EQ(at(4 + y, x, 0), 255);
  }
}

// The sheet of a caption in a group of 56 pixels, which has 9 letters.
std::string captioned(const std::string& text) {
  ContactSheet sheet(1, 1, 56, 56);
  sheet.caption(0, text);
  return sheet.png();
}

TEST(ContactSheet, WritesUtf8) {
  EXPECT_EQ(captioned("Bär É"), captioned("Bar E"));
  EXPECT_EQ(captioned("猫 1"), captioned("? 1"));
  EXPECT_NE(captioned("a"), captioned("A"));
  EXPECT_EQ(captioned("123456ßßßß"), captioned("123456s.."));
}

// The glyphs of the alphabet differ from each other and from the question mark.
TEST(ContactSheet, LettersDiffer) {
  std::set<std::string> sheets{captioned("?")};
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    sheets.insert(captioned(std::string(1, letter)));
    sheets.insert(captioned(std::string(1, static_cast<char>(letter - 'a' + 'A'))));
  }
  EXPECT_EQ(sheets.size(), 53u);
}

// Large pictures are shown with 160 pixels, many of them in several lines.
TEST(ContactSheet, WrapsLines) {
  ContactSheet sheet(16, 1, 400, 400);
  ImageDecoder decoder;
  const std::string png = sheet.png();
  EXPECT_EQ(decoder.shape(png, ColorMode::kAsStored), (ItemShape{3, 4 + 3 * (11 + 164 + 4), 4 + 6 * 164}));
}

}  // namespace
}  // namespace trainer
