// WindowData: the arithmetic of cuts, the share of foreground in a batch, pixels, mean and mirroring.
#include <cmath>
#include <fstream>
#include <set>

#include "data/feeds/window_cut.h"
#include "data/feeds/window_list.h"
#include "data/small_data.h"

namespace trainer {
namespace {

using test::error_text;
using test::expect_contains;
using test::options;
using test::take_many;

void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

Window window(int x1, int y1, int x2, int y2) {
  Window result;
  result.x1 = x1;
  result.y1 = y1;
  result.x2 = x2;
  result.y2 = y2;
  return result;
}

void expect_cut(const WindowCut& cut, const std::vector<int>& from, const std::vector<int>& to) {
  EXPECT_EQ((std::vector<int>{cut.x, cut.y, cut.width, cut.height}), from);
  EXPECT_EQ((std::vector<int>{cut.to_x, cut.to_y, cut.to_width, cut.to_height}), to);
}

TEST(WindowCut, WarpTakesTheWindowItself) {
  expect_cut(cut_window(window(2, 3, 5, 9), {8, 0, false}, 20, 20, false, false), {2, 3, 4, 7}, {0, 0, 8, 8});
}

// Crop 8 with pad 2 grows by 8 / (8 - 4) = 2. Window 4..7 x 4..7: half 2, centre 6, so 6 - 4 = 2 to 6 + 4 = 10 (Caffe's
// corners differ by one from the exact ones).
TEST(WindowCut, ContextGrowsAboutTheCentre) {
  expect_cut(cut_window(window(4, 4, 7, 7), {8, 2, false}, 20, 20, false, false), {2, 2, 9, 9}, {0, 0, 8, 8});
}

// Window 0..3 x 1..4 in 6x6: x from 2 - 4 = -2 to 6, y from 3 - 4 = -1 to 7. Cut off: left 2, right 1, above
// 1, below 2, of 9. Scale 8/9: to_x = round(1.78) = 2, to_y = round(0.89) = 1; 6 * 8/9 = 5.33 -> 5.
TEST(WindowCut, WhatLiesOutsideStaysEmptyAndIsMirroredToo) {
  expect_cut(cut_window(window(0, 1, 3, 4), {8, 2, false}, 6, 6, false, false), {0, 0, 6, 6}, {2, 1, 5, 5});
  expect_cut(cut_window(window(0, 1, 3, 4), {8, 2, false}, 6, 6, true, false), {0, 0, 6, 6}, {1, 1, 5, 5});
  expect_cut(cut_window(window(0, 1, 3, 4), {8, 2, false}, 6, 6, false, true), {0, 0, 6, 6}, {2, 2, 5, 5});
}

// Window 5..6 x 2..7, 2 wide and 6 high: half 3 in both directions about (6, 5): x 3..9, y 2..8.
TEST(WindowCut, SquareTakesTheLongerSide) {
  expect_cut(cut_window(window(5, 2, 6, 7), {7, 0, true}, 20, 20, false, false), {3, 2, 7, 7}, {0, 0, 7, 7});
}

TEST(WindowCut, WindowsOutsideThePictureAreRefused) {
  expect_contains(error_text([] {
                    cut_window(window(2, 2, 6, 4), {8, 0, false}, 6, 6, false, false);
                  }),
                  {"(2, 2) to (6, 4)", "6 high and 6 wide"});
  expect_contains(error_text([] {
                    cut_window(window(40, 40, 41, 41), {8, 1, false}, 6, 6, false, false);
                  }),
                  {"leaves"});
}

constexpr const char* kList =
    "# 0\na.ppm\n3\n2\n4\n3\n1 0.9 0 0 1 1\n2 0.2 2 0 3 1\n5 0.4 0 0 3 1\n"
    "# 1\nb.ppm\n3 1 1\n1\n7 1.0 0 0 0 0\n";

TEST(WindowList, SortsByOverlap) {
  const test::TemporaryFolder folder;
  write(folder / "w", kList);
  const WindowList list = read_window_list(folder / "w", 0.5f, 0.3f);
  EXPECT_EQ(list.pictures, (std::vector<std::string>{"a.ppm", "b.ppm"}));
  ASSERT_EQ(list.foreground.size(), 2u);
  ASSERT_EQ(list.background.size(), 1u) << "0.4 is neither";
  EXPECT_EQ(list.foreground[1].label, 7);
  EXPECT_EQ(list.foreground[1].picture, 1u);
  EXPECT_EQ(list.background[0].label, 0) << "background has no class";
  EXPECT_EQ(list.background[0].line, 8);
}

TEST(WindowList, MistakesAreNamedWithTheirLine) {
  const test::TemporaryFolder folder;
  const auto reason = [&](const std::string& text) {
    write(folder / "w", text);
    return error_text([&] { read_window_list(folder / "w", 0.5f, 0.5f); });
  };
  expect_contains(reason(""), {"w:1:", "names no images"});
  expect_contains(reason("a.jpg 1\n"), {"w:1:", "\"a.jpg\" found instead of \"# index\""});
  expect_contains(reason("# 0\nmy cat.jpg\n3 2 2 0\n"), {"w:2:", "\"cat.jpg\"", "must not contain blanks"});
  expect_contains(reason("# 0\na.jpg\n1 2 2 0\n"), {"w:3:", "1 channels", "write 3"});
  expect_contains(reason("# 0\na.jpg\n3 2 2 2\n1 0.9 0 0 1 1\n"), {"the file ends before a window's class"});
  expect_contains(reason("# 0\na.jpg\n3 2 2 1\n0 0.9 0 0 1 1\n"), {"w:4:", "needs a class above 0"});
  expect_contains(reason("# 0\na.jpg\n3 2 2 1\n1 0.9 1 0 0 1\n"), {"w:4:", "corners swapped"});
  expect_contains(reason("# 0\na.jpg\n3 2 2 1\n1 high 0 0 0 1\n"), {"w:4:", "\"high\"", "overlap"});
}

class WindowData : public testing::Test {
 protected:
  void SetUp() override {
    // 4 wide, 2 high; blue counts 0..7, green and red are 100 and 200.
    std::string picture = "P6 4 2 255\n";
    for (int i = 0; i < 8; ++i) picture += {static_cast<char>(200), static_cast<char>(100), static_cast<char>(i)};
    write(folder_ / "a.ppm", picture);
    write(folder_ / "b.ppm", std::string("P6 1 1 255\n") + "\x1e\x14\x0a");
    write(folder_ / "w", kList);
  }
  caffe::LayerParameter layer(int batch, const std::string& fields, const std::string& transform) {
    return test::layer_of("name: 'data' type: 'WindowData' top: 'data' top: 'label' window_data_param { source: '" +
                          folder_ / "w" + "' root_folder: '" + folder_ / "" + "' batch_size: " + std::to_string(batch) +
                          " " + fields + " } transform_param { " + transform + " }");
  }
  test::TemporaryFolder folder_;
};

TEST_F(WindowData, BackgroundComesFirstThenForegroundWithMeanAndScale) {
  // int(8 * 0.25) = 2 foreground windows.
  auto stream = test::open_stream(
      layer(8, "bg_threshold: 0.3 scale: 0.5", "crop_size: 2 mean_value: 1 mean_value: 2 mean_value: 3"), options());
  EXPECT_EQ(stream->next_batch_descs()[0].shape, (Shape{8, 3, 2, 2}));
  stream->start();
  std::set<float> classes;
  for (const test::Batch& batch : take_many(*stream, 20)) {
    for (size_t row = 0; row < 8; ++row) {
      const std::vector<float> item(batch.tops[0].begin() + static_cast<long>(row) * 12,
                                    batch.tops[0].begin() + static_cast<long>(row) * 12 + 12);
      const float label = batch.tops[1][row];
      std::vector<float> expected;
      if (row < 6) {
        EXPECT_EQ(label, 0);
        expected = {0.5f, 1, 2.5f, 3};  // blue 2 3 6 7, minus 1, halved
      } else if (label == 1) {
        expected = {-0.5f, 0, 1.5f, 2};  // blue 0 1 4 5
      } else {
        EXPECT_EQ(label, 7);
        expected = {4.5f, 4.5f, 4.5f, 4.5f};  // one pixel of blue 10
      }
      EXPECT_EQ(std::vector<float>(item.begin(), item.begin() + 4), expected);
      EXPECT_EQ(item[4], label == 7 ? 9 : 49);
      EXPECT_EQ(item[8], label == 7 ? 13.5f : 98.5f);
      if (row >= 6) classes.insert(label);
    }
  }
  EXPECT_EQ(classes, (std::set<float>{1, 7}));
}

TEST_F(WindowData, MirrorsHalfOfTheWindows) {
  auto stream =
      test::open_stream(layer(10, "fg_fraction: 0 bg_threshold: 0.3", "crop_size: 2 mirror: true"), options());
  stream->start();
  int mirrored = 0;
  for (const test::Batch& batch : take_many(*stream, 20)) {
    for (size_t row = 0; row < 10; ++row) {
      const std::vector<float> blue(batch.tops[0].begin() + static_cast<long>(row) * 12,
                                    batch.tops[0].begin() + static_cast<long>(row) * 12 + 4);
      if (blue == std::vector<float>{3, 2, 7, 6}) {
        ++mirrored;
      } else {
        EXPECT_EQ(blue, (std::vector<float>{2, 3, 6, 7}));
      }
    }
  }
  EXPECT_GT(mirrored, 70);
  EXPECT_LT(mirrored, 130);
}

TEST_F(WindowData, AroundTheCutStaysExactlyZero) {
  // Crop 4, pad 1 grows by 2. The one pixel of b.ppm: half 0.5, centre 0.5; x from round(-0.5) = -1 to round(1.5) = 2;
  // 1 of 4 outside on the left, 2 on the right, so pixel 1 of the item contains it.
  write(folder_ / "w", "# 0\nb.ppm\n3 1 1\n1\n7 1.0 0 0 0 0\n");
  auto stream = test::open_stream(layer(1, "fg_fraction: 1 context_pad: 1", "crop_size: 4 mean_value: 3"), options());
  stream->set_orders({MemoryFormat::kChannelsLast});
  stream->start();
  std::vector<float> expected(48, 0.0f);
  const size_t at = (1 * 4 + 1) * 3;
  expected[at] = 7;
  expected[at + 1] = 17;
  expected[at + 2] = 27;
  EXPECT_EQ(take_many(*stream, 1)[0].tops[0], expected);
}

// Background window 2..3 x 0..1 has blue 2 3 6 7.
TEST_F(WindowData, RunsTheStepsOfAugment) {
  const std::string flip = " augment { vertical_flip { probability: 1 } }";
  auto stream = test::open_stream(layer(1, "fg_fraction: 0 bg_threshold: 0.3", "crop_size: 2" + flip), options());
  stream->start();
  const std::vector<float> item = take_many(*stream, 1)[0].tops[0];
  EXPECT_EQ(std::vector<float>(item.begin(), item.begin() + 4), (std::vector<float>{6, 7, 2, 3}));

  // As in AroundTheCutStaysExactlyZero, with the 2 of 4 rows below the pixel above it.
  write(folder_ / "w", "# 0\nb.ppm\n3 1 1\n1\n7 1.0 0 0 0 0\n");
  auto padded = test::open_stream(layer(1, "fg_fraction: 1 context_pad: 1", "crop_size: 4" + flip), options());
  padded->start();
  std::vector<float> expected(48, 0.0f);
  for (size_t c = 0; c < 3; ++c) expected[c * 16 + 2 * 4 + 1] = 10.0f * static_cast<float>(c + 1);
  EXPECT_EQ(take_many(*padded, 1)[0].tops[0], expected);
}

TEST_F(WindowData, DoesNotDependOnWorkersAndResumes) {
  const std::string fields = "bg_threshold: 0.3 fg_fraction: 0.5",
                    transform = "crop_size: 3 augment { vertical_flip { } } augment { random_crop { size: 2 } }";
  auto one = test::open_stream(layer(6, fields, transform), options(caffe::TRAIN, 1));
  auto four = test::open_stream(layer(6, fields + " cache_images: true", transform), options(caffe::TRAIN, 4));
  one->start();
  four->start();
  EXPECT_EQ(take_many(*one, 6), take_many(*four, 6));
  auto resumed = test::open_stream(layer(6, fields, transform), options());
  resumed->seek(one->cursor());
  resumed->start();
  EXPECT_EQ(take_many(*resumed, 3), take_many(*one, 3));
}

// Snapshots keep the content to notice changes.
TEST_F(WindowData, TheContentChangesWithEachWindow) {
  const auto content = [&](const std::string& window) {
    write(folder_ / "w", "# 0\nb.ppm\n3 1 1\n2\n7 1.0 0 0 0 0\n" + window);
    return test::open_stream(layer(2, "fg_fraction: 1", "crop_size: 2"), options())->cursor().content;
  };
  const std::string before = content("5 0.9 0 0 1 1\n");
  EXPECT_EQ(content("5 0.8 0 0 1 1 \n"), before) << "the sides of the threshold are the same";
  EXPECT_NE(content("6 0.9 0 0 1 1\n"), before);
  EXPECT_NE(content("5 0.9 0 0 1 2\n"), before);
  write(folder_ / "c.ppm", std::string("P6 1 1 255\n") + "\x1e\x14\x0a");
  EXPECT_NE(content("5 0.9 0 0 1 1\n# 1\nc.ppm\n3 1 1\n0\n# 2\nb.ppm\n3 1 1\n0\n"),
            content("5 0.9 0 0 1 1\n# 1\nb.ppm\n3 1 1\n0\n# 2\nb.ppm\n3 1 1\n0\n"));
}

TEST_F(WindowData, MistakesAreNamed) {
  const auto reason = [&](const std::string& fields, const std::string& transform, ExitCode code) {
    return error_text([&] { test::open_stream(layer(4, fields, transform), options()); }, code);
  };
  expect_contains(reason("", "", ExitCode::kConfiguration), {"crop_size, the side of an item, is 0"});
  expect_contains(reason("crop_mode: 'round'", "crop_size: 4", ExitCode::kConfiguration), {"\"warp\" or \"square\""});
  expect_contains(reason("context_pad: 2", "crop_size: 4", ExitCode::kConfiguration),
                  {"leaves nothing of crop_size 4"});
  expect_contains(reason("fg_fraction: 2", "crop_size: 4", ExitCode::kConfiguration), {"fg_fraction"});
  expect_contains(reason("bg_threshold: 0", "crop_size: 4", ExitCode::kData),
                  {"3 background and 1 foreground", "has 0 and 2"});
  std::filesystem::remove(folder_ / "a.ppm");
  auto stream = test::open_stream(layer(4, "", "crop_size: 2"), options());
  stream->start();
  expect_contains(error_text([&] { stream->next(); }), {"w:", "a.ppm", "No such file"});
  std::string warnings;
  test::open_stream(layer(4, "", "crop_size: 2 scale: 2"), options(), &warnings);
  expect_contains(warnings, {"window_data_param.scale"});
}

}  // namespace
}  // namespace trainer
