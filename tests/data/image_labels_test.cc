// ImageData with label_kind: numbers and masks from lists.
#include <set>

#include "data/feeds/image_list.h"
#include "data/small_data.h"
#include "formats/temp_folder.h"

namespace trainer {
namespace {

using caffe::ImageDataParameter;
using test::error_text;
using test::expect_contains;
using test::options;
using test::take_many;

// PNG files of 3x2 pixels, as Python's zlib packs them. Pillow reads the numbers 0 1 15 / 2 1 0 from the palette of
// 4 bits, and the values 0 1 255 / 2 1 0 of 8 bits; those of 2 bits are 0 1 3 / 2 1 0.
constexpr const char* kPalette =
    "89504e470d0a1a0a0000000d49484452000000030000000204030000006f5a7b2900000030504c5445000102030405060708090a0b0c0d0e0f"
    "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2fad978eef0000000e49444154789c6360fcc0a0c80000040d01"
    "132ac691e00000000049454e44ae426082";
constexpr const char* kGray =
    "89504e470d0a1a0a0000000d4948445200000003000000020800000000b81f39c60000001049444154789c636060fccfc0c4c8000005110104"
    "b8b12b430000000049454e44ae426082";
constexpr const char* kGray2Bits =
    "89504e470d0a1a0a0000000d4948445200000003000000020200000000f2af21670000000c49444154789c63906198000000e800ad844249e8"
    "0000000049454e44ae426082";
constexpr const char* kColor =
    "89504e470d0a1a0a0000000d49484452000000030000000208020000001216f14d0000000b49444154789c6360c00400001400017dfe1eee00"
    "00000049454e44ae426082";
constexpr const char* kGray16Bits =
    "89504e470d0a1a0a0000000d4948445200000003000000021000000000e88fe5850000000b49444154789c6360400600000e0001a99173b100"
    "00000049454e44ae426082";
// 2x2 pixels.
constexpr const char* kSquare =
    "89504e470d0a1a0a0000000d494844520000000200000002080000000057dd52f80000000e49444154789c6360616560630700004100177a3b"
    "b3aa0000000049454e44ae426082";

// A grey image of 3x2 pixels: 10 11 12 / 13 14 15.
const std::string kImage = "P5\n3 2\n255\n\x0A\x0B\x0C\x0D\x0E\x0F";

caffe::LayerParameter layer(const TempFolder& folder, int batch, const std::string& fields,
                            const std::string& transform = "") {
  return test::layer_of("name: 'data' type: 'ImageData' top: 'data' top: 'label' image_data_param { source: '" +
                        (folder / "list") + "' root_folder: '" + (folder / "") + "' is_color: false batch_size: " +
                        std::to_string(batch) + " " + fields + " } transform_param { " + transform + " }");
}

TEST(ImageValues, TheFirstLineGivesTheNumberOfValues) {
  const TempFolder folder;
  folder.write("list", "my face 1.pgm 0.25 -3\nb.pgm\t1e-2  +7\r\n");
  const ImageList list = read_image_list(folder / "list", "", ImageDataParameter::VALUES);
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list.path(0), "my face 1.pgm");
  EXPECT_EQ(list.path(1), "b.pgm");
  EXPECT_EQ(list.label_values(), 2u);
  EXPECT_EQ(list.label(0)[0], 0.25);
  EXPECT_EQ(list.label(0)[1], -3);
  EXPECT_EQ(list.label(1)[0], 0.01);
  EXPECT_EQ(list.label(1)[1], 7);
}

TEST(ImageValues, MistakesAreNamedWithTheirLine) {
  const TempFolder folder;
  const auto reason = [&](const std::string& text) {
    folder.write("list", text);
    return error_text([&] { read_image_list(folder / "list", "", ImageDataParameter::VALUES); });
  };
  expect_contains(reason("a.pgm\n"), {"list:1:", "\"a.pgm\" does not end in a number"});
  expect_contains(reason("a.pgm 1 2\nb.pgm 1\n"), {"list:2:", "does not end in 2 numbers"});
  expect_contains(reason("a.pgm 1\nb.pgm 1 2\n"), {"list:2:", "ends in more than 1 number, but"});
  expect_contains(reason("a.pgm 1\nb.pgm nan\n"), {"list:2:", "does not end in 1 number,"});
  expect_contains(reason("a.pgm 1\nb.pgm 1e60\n"), {"list:2:"});
  expect_contains(reason("1 2\n2\n"), {"list:2:"});
}

TEST(ImageValues, OneValueMakesARowAndSeveralMakeAMatrix) {
  const TempFolder folder;
  folder.write("a.pgm", kImage);
  folder.write("list", "a.pgm 0.5\na.pgm -2\n");
  auto one = test::open_stream(layer(folder, 2, "label_kind: VALUES"), options());
  EXPECT_EQ(one->next_batch_descs()[1].shape, (Shape{2}));
  one->start();
  EXPECT_EQ(take_many(*one, 1)[0].tops[1], (std::vector<float>{0.5f, -2}));
  folder.write("list", "a.pgm 1 2 3\na.pgm 4 5 6\n");
  auto three = test::open_stream(layer(folder, 2, "label_kind: VALUES"), options());
  EXPECT_EQ(three->next_batch_descs()[1].shape, (Shape{2, 3}));
  three->start();
  EXPECT_EQ(take_many(*three, 1)[0].tops[1], (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST(ImageMasks, HoldTheNumbersThatAreStored) {
  const TempFolder folder;
  folder.write("a.pgm", kImage);
  folder.write("palette.png", from_hex(kPalette));
  folder.write("gray.png", from_hex(kGray));
  folder.write("gray 2.png", from_hex(kGray2Bits));
  folder.write("list", "a.pgm palette.png\na.pgm gray.png\na.pgm\tgray 2.png\n");
  auto stream = test::open_stream(layer(folder, 3, "label_kind: MASK"), options());
  EXPECT_EQ(stream->next_batch_descs()[1].shape, (Shape{3, 1, 2, 3}));
  stream->start();
  EXPECT_EQ(take_many(*stream, 1)[0].tops[1],
            (std::vector<float>{0, 1, 15, 2, 1, 0, 0, 1, 255, 2, 1, 0, 0, 1, 3, 2, 1, 0}));
}

// Each pixel of the image is 10 + its number; the mask of such a pixel follows it.
TEST(ImageMasks, FollowTheCropsAndMirrorsOfTheirImages) {
  const TempFolder folder;
  folder.write("a.pgm", kImage);
  folder.write("m.png", from_hex(kPalette));
  folder.write("list", "a.pgm m.png\n");
  const std::vector<float> mask = {0, 1, 15, 2, 1, 0};
  for (const char* transform :
       {"crop_size: 2 mirror: true", "augment { random_crop { size: 2 } } augment { horizontal_flip { } }"}) {
    auto stream = test::open_stream(layer(folder, 16, "label_kind: MASK", transform), options());
    stream->start();
    const test::Batch batch = take_many(*stream, 1)[0];
    ASSERT_EQ(batch.tops[1].size(), 64u);
    std::set<float> corners;
    for (size_t i = 0; i < batch.tops[0].size(); ++i) {
      EXPECT_EQ(batch.tops[1][i], mask.at(static_cast<size_t>(batch.tops[0][i]) - 10)) << transform << " " << i;
      if (i % 4 == 0) corners.insert(batch.tops[0][i]);
    }
    EXPECT_EQ(corners, (std::set<float>{10, 11, 12})) << transform;
  }
}

TEST(ImageMasks, ResizeWithoutNewClasses) {
  const TempFolder folder;
  folder.write("a.pgm", kImage);
  folder.write("m.png", from_hex(kPalette));
  folder.write("list", "a.pgm m.png\n");
  auto stream = test::open_stream(layer(folder, 1, "label_kind: MASK new_height: 4 new_width: 6"), options());
  EXPECT_EQ(stream->next_batch_descs()[1].shape, (Shape{1, 1, 4, 6}));
  stream->start();
  EXPECT_EQ(take_many(*stream, 1)[0].tops[1],
            (std::vector<float>{0, 0, 1, 1, 15, 15, 0, 0, 1, 1, 15, 15, 2, 2, 1, 1, 0, 0, 2, 2, 1, 1, 0, 0}));
}

TEST(ImageMasks, PixelsOutsideTheImageAreIgnored) {
  const TempFolder folder;
  folder.write("a.pgm", kImage);
  folder.write("m.png", from_hex(kPalette));
  folder.write("list", "a.pgm m.png\n");
  // A crop of 4x4 pads 2x3 pixels.
  const std::string pad = "augment { random_crop { size: 4 padding: 1 } }";
  for (const float ignored : {255.0f, 9.0f}) {
    const std::string field = ignored == 255 ? "" : " mask_ignore: 9";
    auto stream = test::open_stream(layer(folder, 1, "label_kind: MASK" + field, pad), options());
    stream->start();
    const test::Batch batch = take_many(*stream, 1)[0];
    int outside = 0;
    for (size_t i = 0; i < batch.tops[0].size(); ++i) {
      if (batch.tops[0][i] >= 10) continue;
      ++outside;
      EXPECT_EQ(batch.tops[1][i], ignored);
    }
    EXPECT_EQ(outside, 10);
  }
}

TEST(ImageMasks, MistakesNameTheMask) {
  const TempFolder folder;
  folder.write("a.pgm", kImage);
  folder.write("color.png", from_hex(kColor));
  folder.write("deep.png", from_hex(kGray16Bits));
  folder.write("square.png", from_hex(kSquare));
  const auto reason = [&](const std::string& list) {
    folder.write("list", list);
    return error_text([&] {
      auto stream = test::open_stream(layer(folder, 1, "label_kind: MASK"), options());
      stream->start();
      stream->next();
    });
  };
  expect_contains(reason("a.pgm square.png\n"),
                  {"list:1 (a.pgm)", "the image is 2x3, but its mask", "square.png is 2x2"});
  expect_contains(reason("a.pgm color.png\n"), {"list:1 (a.pgm)", "color.png: the mask has colors"});
  expect_contains(reason("a.pgm deep.png\n"), {"deep.png: the mask has 16 bits"});
  expect_contains(reason("a.pgm a.pgm\n"), {"a.pgm: the mask must be a PNG file"});
  expect_contains(reason("a.pgm none.png\n"), {"cannot read mask", "none.png", "No such file"});
  expect_contains(reason("a.pgm\n"), {"list:1:", "\"a.pgm\" names no mask", "images/1.jpg masks/1.png"});
}

}  // namespace
}  // namespace trainer
