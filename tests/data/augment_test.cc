// The steps of transform_param's augment: pixels, draws, order, and a registered step for each field of the schema.
#include <algorithm>
#include <set>

#include "data/pictures/steps/step.h"
#include "data/small_data.h"
#include "formats/hdf5_file.h"
#include "formats/mean_file.h"

namespace trainer {
namespace {

using test::data_layer;
using test::error_text;
using test::expect_contains;
using test::options;
using test::take_many;

constexpr const char* kFlip = "augment { vertical_flip { probability: 1 } } ";

// One channel, 3 high and 2 wide:
//   1 2
//   3 4
//   5 6
std::string small_picture() {
  caffe::Datum datum;
  datum.set_channels(1);
  datum.set_height(3);
  datum.set_width(2);
  datum.set_data("\1\2\3\4\5\6");
  return datum.SerializeAsString();
}

class Augment : public testing::Test {
 protected:
  void SetUp() override { test::write_lmdb(folder_ / "db", {{"a", small_picture()}}); }
  std::vector<float> item(const std::string& transform, caffe::Phase phase = caffe::TRAIN,
                          MemoryFormat order = MemoryFormat::kRowMajor) {
    auto stream = test::open_stream(data_layer(folder_ / "db", 1, "", transform), options(phase));
    stream->set_orders({order});
    stream->start();
    return take_many(*stream, 1)[0].tops[0];
  }
  test::TemporaryFolder folder_;
};

TEST_F(Augment, VerticalFlipTurnsRowsAround) {
  EXPECT_EQ(item(kFlip), (std::vector<float>{5, 6, 3, 4, 1, 2}));
  EXPECT_EQ(item(kFlip, caffe::TRAIN, MemoryFormat::kChannelsLast), (std::vector<float>{5, 6, 3, 4, 1, 2}));
  EXPECT_EQ(item(std::string(kFlip) + kFlip), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(item("augment { vertical_flip { probability: 0 } }"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(item(kFlip, caffe::TEST), (std::vector<float>{1, 2, 3, 4, 5, 6}));
}

TEST_F(Augment, HorizontalFlipMirrorsRows) {
  EXPECT_EQ(item("augment { horizontal_flip { probability: 1 } }"), (std::vector<float>{2, 1, 4, 3, 6, 5}));
  EXPECT_EQ(item("augment { horizontal_flip { probability: 1 } } " + std::string(kFlip)),
            (std::vector<float>{6, 5, 4, 3, 2, 1}));
}

TEST_F(Augment, CenterCropCutsOutTheCenter) {
  EXPECT_EQ(item("augment { center_crop { height: 1 width: 2 } }"), (std::vector<float>{3, 4}));
  EXPECT_EQ(item(kFlip + std::string("augment { center_crop { height: 1 width: 1 } }")), (std::vector<float>{3}));
}

// A border of 1 makes 5 x 4 pixels; each of the 4 x 3 places of a 2 x 2 crop occurs.
TEST_F(Augment, RandomCropReachesEachPlace) {
  auto stream = test::open_stream(
      data_layer(folder_ / "db", 200, "", "augment { random_crop { size: 2 padding: 1 fill: 9 } }"), options());
  stream->start();
  const std::vector<float> items = take_many(*stream, 1)[0].tops[0];
  std::set<std::vector<float>> seen;
  for (auto at = items.begin(); at != items.end(); at += 4) seen.emplace(at, at + 4);
  const float bordered[5][4] = {{9, 9, 9, 9}, {9, 1, 2, 9}, {9, 3, 4, 9}, {9, 5, 6, 9}, {9, 9, 9, 9}};
  std::set<std::vector<float>> expected;
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 3; ++x)
      expected.insert({bordered[y][x], bordered[y][x + 1], bordered[y + 1][x], bordered[y + 1][x + 1]});
  }
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(item("augment { random_crop { height: 1 width: 2 padding: 1 } }", caffe::TEST), (std::vector<float>{3, 4}));
  const std::string larger = "augment { random_crop { height: 4 width: 2 padding: 1 } }";
  item(larger);
  expect_contains(error_text([&] { item(larger, caffe::TEST); }),
                  {"a crop of 4x2", "the image, which is 3x2", "padding of random_crop applies to phase TRAIN only"});
}

TEST_F(Augment, NormalizeMapsWhiteToOne) {
  const std::vector<float> item_of = item("augment { normalize { mean: 0.01 std: 0.5 } } " + std::string(kFlip));
  const float pixels[] = {5, 6, 3, 4, 1, 2};
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(item_of[i], (pixels[i] / 255 - 0.01) / 0.5, 1e-6) << i;
  EXPECT_NEAR(item("augment { normalize { } }")[5], 6.0 / 255, 1e-7);
}

// Rectangles of the value 9, 4% to 64% of the area, in half of the items.
TEST_F(Augment, EraseFillsRectangles) {
  caffe::Datum datum;
  datum.set_channels(2);
  datum.set_height(10);
  datum.set_width(10);
  datum.set_data(std::string(200, '\1'));
  test::write_lmdb(folder_ / "plain", {{"a", datum.SerializeAsString()}});
  auto stream = test::open_stream(
      data_layer(folder_ / "plain", 300, "", "augment { erase { value: 9 scale_min: 0.04 scale_max: 0.64 } }"),
      options());
  stream->start();
  const std::vector<float> items = take_many(*stream, 1)[0].tops[0];
  int changed = 0;
  for (size_t n = 0; n < 300; ++n) {
    int top = 10, left = 10, bottom = -1, right = -1, count = 0;
    for (int y = 0; y < 10; ++y) {
      for (int x = 0; x < 10; ++x) {
        const float value = items[n * 200 + static_cast<size_t>(y * 10 + x)];
        EXPECT_EQ(value, items[n * 200 + 100 + static_cast<size_t>(y * 10 + x)]);
        if (value == 1) continue;
        EXPECT_EQ(value, 9);
        ++count;
        top = std::min(top, y), bottom = std::max(bottom, y), left = std::min(left, x), right = std::max(right, x);
      }
    }
    if (count == 0) continue;
    ++changed;
    EXPECT_EQ(count, (bottom - top + 1) * (right - left + 1));
    EXPECT_GE(count, 2);
    EXPECT_LE(count, 72);
  }
  EXPECT_GT(changed, 110);
  EXPECT_LT(changed, 190);
}

// Flips half of the pictures, other ones in each epoch.
TEST_F(Augment, DrawsAnewForEachPicture) {
  test::Records records;
  for (int i = 0; i < 100; ++i) records.emplace_back(test::key(i), small_picture());
  test::write_lmdb(folder_ / "hundred", records);
  const auto flips = [&](int workers) {
    auto stream = test::open_stream(data_layer(folder_ / "hundred", 100, "", "augment { vertical_flip { } }"),
                                    options(caffe::TRAIN, workers));
    stream->start();
    std::vector<std::vector<bool>> epochs;
    for (const test::Batch& batch : take_many(*stream, 2)) {
      epochs.emplace_back();
      for (size_t n = 0; n < 100; ++n) epochs.back().push_back(batch.tops[0][n * 6] == 5);
    }
    return epochs;
  };
  const std::vector<std::vector<bool>> one = flips(1);
  const auto flipped = std::count(one[0].begin(), one[0].end(), true);
  EXPECT_GT(flipped, 30);
  EXPECT_LT(flipped, 70);
  EXPECT_NE(one[0], one[1]);
  EXPECT_EQ(flips(3), one);
}

// A picture of 7 x 5 pixels and 3 channels, and the results of Pillow 13.0.0:
//   Image.fromarray(picture).resize((width, height), filter)
std::string coloured_picture() {
  caffe::Datum datum;
  datum.set_channels(3);
  datum.set_height(7);
  datum.set_width(5);
  std::string planes;
  for (int c = 0; c < 3; ++c) {
    for (int y = 0; y < 7; ++y) {
      for (int x = 0; x < 5; ++x) planes += static_cast<char>(y * 37 + x * 91 + c * 53 + x * y * 17);
    }
  }
  datum.set_data(planes);
  return datum.SerializeAsString();
}

void expect_near(const std::vector<float>& values, const std::vector<float>& expected) {
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1) << i;
}

class AugmentResize : public Augment {
 protected:
  void SetUp() override { test::write_lmdb(folder_ / "db", {{"a", coloured_picture()}}); }
  std::vector<float> resized(const std::string& fields) {
    return item("augment { resize { " + fields + " } }", caffe::TRAIN, MemoryFormat::kChannelsLast);
  }
};

// Along one axis exactly; along both within a grey level, because Pillow may take the other axis first.
TEST_F(AugmentResize, EqualsPillow) {
  expect_near(resized("height: 3 width: 2"), (std::vector<float>{113, 141, 148, 132, 125, 133, 144, 137, 157, 114, 141,
                                                                 127, 133, 145, 120, 119, 130, 134}));
  EXPECT_EQ(
      resized("height: 2 width: 3 filter: BICUBIC"),
      (std::vector<float>{99, 136, 163, 155, 147, 135, 113, 126, 126, 155, 154, 132, 113, 120, 140, 116, 138, 127}));
  EXPECT_EQ(resized("height: 3 width: 5"),
            (std::vector<float>{32,  85,  138, 137, 190, 188, 188, 131, 93,  92,  145, 144, 143, 86,  139,
                                111, 164, 202, 178, 125, 118, 139, 117, 170, 100, 153, 131, 107, 145, 92,
                                190, 152, 95,  113, 166, 127, 90,  88,  141, 122, 175, 118, 136, 98,  151}));
  const std::vector<float> wider = resized("height: 7 width: 6 filter: BICUBIC");
  EXPECT_EQ(std::vector<float>(wider.begin(), wider.begin() + 24),
            (std::vector<float>{0,  50, 103, 65,  118, 188, 162, 215, 96,  118, 171, 52,
                                26, 79, 149, 111, 164, 217, 33,  86,  139, 114, 184, 237}));
  const std::vector<float> larger = resized("height: 9 width: 8");
  expect_near(std::vector<float>(larger.begin(), larger.begin() + 24),
              (std::vector<float>{0,   53,  106, 40, 93, 146, 97, 150, 187, 154, 207, 84,
                                  130, 183, 60,  27, 80, 117, 68, 121, 174, 108, 161, 214}));
}

TEST_F(AugmentResize, KeepsProportions) {
  EXPECT_EQ(resized("short_side: 10").size(), 14u * 10 * 3);
  EXPECT_EQ(resized("size: 5").size(), 5u * 5 * 3);
  // 7 x 5 into 7 x 7: one column before the picture and one after it.
  const std::vector<float> boxed = resized("size: 7 letterbox: true fill: 5");
  const std::vector<float> plain = resized("height: 7 width: 5");
  for (size_t y = 0; y < 7; ++y) {
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_EQ(boxed[y * 21 + c], 5);
      EXPECT_EQ(boxed[y * 21 + 18 + c], 5);
    }
    for (size_t i = 0; i < 15; ++i) EXPECT_EQ(boxed[y * 21 + 3 + i], plain[y * 15 + i]);
  }
}

// Rows and columns of a flipped or cropped picture are resized, not those of the whole one.
TEST_F(AugmentResize, ReadsTheSelectedPixels) {
  const std::string crop = "augment { center_crop { height: 5 width: 3 } } ";
  const std::vector<float> part = item(crop, caffe::TRAIN, MemoryFormat::kChannelsLast);
  const std::vector<float> small =
      item(crop + "augment { resize { height: 1 width: 1 } }", caffe::TRAIN, MemoryFormat::kChannelsLast);
  for (size_t c = 0; c < 3; ++c) {
    float low = 255, high = 0;
    for (size_t i = c; i < part.size(); i += 3) low = std::min(low, part[i]), high = std::max(high, part[i]);
    EXPECT_GE(small[c], low);
    EXPECT_LE(small[c], high);
  }
  const std::string resize = "augment { resize { height: 3 width: 2 } } ";
  expect_near(
      item(kFlip + resize, caffe::TRAIN, MemoryFormat::kChannelsLast),
      (std::vector<float>{133, 145, 120, 119, 130, 134, 144, 137, 157, 114, 141, 127, 113, 141, 148, 132, 125, 133}));
}

TEST_F(AugmentResize, RandomResizedCropStaysInItsRanges) {
  // Each pixel of a large picture holds its place, so that the corners of an item tell which part it is.
  caffe::Datum datum;
  datum.set_channels(2);
  datum.set_height(250);
  datum.set_width(200);
  std::string rows, columns;
  for (int y = 0; y < 250; ++y) {
    for (int x = 0; x < 200; ++x) rows += static_cast<char>(y), columns += static_cast<char>(x);
  }
  datum.set_data(rows + columns);
  test::write_lmdb(folder_ / "places", {{"a", datum.SerializeAsString()}});
  const auto items = [&](caffe::Phase phase) {
    auto stream =
        test::open_stream(data_layer(folder_ / "places", 400, "",
                                     "augment { random_resized_crop { size: 50 scale_min: 0.1 scale_max: 0.5 } }"),
                          options(phase));
    stream->start();
    return take_many(*stream, 1)[0].tops[0];
  };
  const std::vector<float> drawn = items(caffe::TRAIN);
  double areas = 0;
  for (size_t n = 0; n < 400; ++n) {
    const float* item = &drawn[n * 5000];
    // The outermost pixels are half a pixel of the result inside the part.
    const double height = static_cast<double>(item[2499] - item[0]) * 50 / 49;
    const double width = static_cast<double>(item[4999] - item[2500]) * 50 / 49;
    const double area = height * width / (250 * 200), ratio = width / height;
    EXPECT_GT(area, 0.09);
    EXPECT_LT(area, 0.52);
    EXPECT_GT(ratio, 0.71);
    EXPECT_LT(ratio, 1.4);
    areas += area / 400;
  }
  EXPECT_NEAR(areas, 0.3, 0.02);
  // In TEST 175 x 175 pixels of the center: rows 37 to 211, columns 12 to 186.
  const std::vector<float> central = items(caffe::TEST);
  EXPECT_NEAR(central[0], 37 + 1.25, 1.01);
  EXPECT_NEAR(central[2499], 211 - 1.25, 1.01);
  EXPECT_NEAR(central[2500], 12 + 1.25, 1.01);
  EXPECT_NEAR(central[4999], 186 - 1.25, 1.01);
}

TEST_F(AugmentResize, ChannelOrderReversesColors) {
  const std::vector<float> bgr = item("", caffe::TRAIN, MemoryFormat::kChannelsLast);
  const std::vector<float> rgb = item("channel_order: RGB", caffe::TRAIN, MemoryFormat::kChannelsLast);
  const std::vector<float> steps =
      item("channel_order: RGB augment { normalize { mean: 0.5 mean: 0 mean: 0 std: 1 std: 1 std: 0.5 } }",
           caffe::TRAIN, MemoryFormat::kChannelsLast);
  const std::vector<float> scaled =
      item("channel_order: RGB mean_value: 10 mean_value: 20 mean_value: 30 std_value: 1 std_value: 2 std_value: 4",
           caffe::TRAIN, MemoryFormat::kChannelsLast);
  for (size_t i = 0; i < bgr.size(); i += 3) {
    for (size_t c = 0; c < 3; ++c) EXPECT_EQ(rgb[i + c], bgr[i + 2 - c]);
    EXPECT_NEAR(steps[i], bgr[i + 2] / 255 - 0.5, 1e-6);
    EXPECT_NEAR(steps[i + 1], bgr[i + 1] / 255, 1e-6);
    EXPECT_NEAR(steps[i + 2], bgr[i] / 255 * 2, 1e-6);
    EXPECT_EQ(scaled[i], bgr[i + 2] - 10);
    EXPECT_EQ(scaled[i + 1], (bgr[i + 1] - 20) / 2);
    EXPECT_EQ(scaled[i + 2], (bgr[i] - 30) / 4);
  }
}

// The mean image has the planes blue, green and red, whatever the order of the item.
TEST_F(AugmentResize, ChannelOrderKeepsTheMeanOfEachColor) {
  MeanImage mean;
  mean.shape = Shape{3, 7, 5};
  for (int i = 0; i < 105; ++i) mean.data.push_back(static_cast<float>(i));
  write_mean_file(folder_ / "mean.binaryproto", mean);
  const std::string file = "mean_file: '" + folder_ / "mean.binaryproto" + "' ";
  const std::vector<float> bgr = item(file), rgb = item(file + "channel_order: RGB");
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < 35; ++i) EXPECT_EQ(rgb[c * 35 + i], bgr[(2 - c) * 35 + i]);
  }
}

TEST_F(Augment, ActsOnMemoryData) {
  Hdf5File file = Hdf5File::create(folder_ / "x.h5");
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  file.write_floats("data", Shape{1, 1, 3, 2}, values.data());
  file.write_floats("label", Shape{1}, values.data());
  file.close();
  auto stream = test::open_stream(
      test::layer_of("name: 'data' type: 'MemoryData' top: 'data' top: 'label' memory_data_param { source: '" +
                     folder_ / "x.h5" + "' batch_size: 1 channels: 1 height: 3 width: 2 } transform_param { " + kFlip +
                     "}"),
      options());
  stream->start();
  EXPECT_EQ(take_many(*stream, 1)[0].tops[0], (std::vector<float>{5, 6, 3, 4, 1, 2}));
}

TEST_F(Augment, EveryStepGivesTheSameForAnyNumberOfWorkers) {
  std::string steps = test::kEveryStep;
  for (const std::string& name : step_names()) EXPECT_NE(steps.find("{ " + name + " {"), std::string::npos) << name;
  test::write_lmdb(folder_ / "large", test::raw_records(20, 3, 24, 20));
  const auto batches = [&](int workers, caffe::Phase phase) {
    auto stream = test::open_stream(data_layer(folder_ / "large", 10, "shuffle: true", steps), options(phase, workers));
    stream->start();
    return take_many(*stream, 6);
  };
  const std::vector<test::Batch> one = batches(1, caffe::TRAIN);
  EXPECT_EQ(one[0].tops[0].size(), 10u * 3 * 12 * 12);
  EXPECT_TRUE(batches(2, caffe::TRAIN) == one);
  EXPECT_TRUE(batches(5, caffe::TRAIN) == one);
  EXPECT_FALSE(batches(1, caffe::TEST) == one);
}

// Twenty levels of grey keep their order and about their values, but not all of them exactly.
TEST_F(Augment, JpegChangesPixelsALittle) {
  caffe::Datum datum;
  datum.set_channels(1);
  datum.set_height(16);
  datum.set_width(20);
  std::string bytes;
  for (int y = 0; y < 16; ++y) {
    for (int x = 0; x < 20; ++x) bytes += static_cast<char>(10 + 12 * x);
  }
  datum.set_data(bytes);
  test::write_lmdb(folder_ / "ramp", {{"a", datum.SerializeAsString()}});
  auto stream = test::open_stream(
      data_layer(folder_ / "ramp", 1, "", "augment { jpeg { quality_min: 60 quality_max: 60 } }"), options());
  stream->start();
  const std::vector<float> item = take_many(*stream, 1)[0].tops[0];
  int changed = 0;
  for (size_t i = 0; i < item.size(); ++i) {
    const float before = 10 + 12 * static_cast<float>(i % 20);
    EXPECT_NEAR(item[i], before, 9);
    changed += item[i] != before;
  }
  EXPECT_GT(changed, 0);
}

// Brightness, contrast, saturation and hue by 0 leave an image as it is; a strength changes each image differently.
TEST_F(Augment, ColorJitterDrawsFactors) {
  test::write_lmdb(folder_ / "large", test::raw_records(4, 3, 6, 6));
  const auto items = [&](const std::string& augment) {
    auto stream = test::open_stream(data_layer(folder_ / "large", 4, "", augment), options());
    stream->start();
    return take_many(*stream, 1)[0].tops[0];
  };
  const std::vector<float> plain = items("");
  EXPECT_EQ(items("augment { color_jitter { } }"), plain);
  const std::vector<float> brighter = items("augment { color_jitter { brightness: 0.5 } }");
  std::set<int> factors;
  for (size_t n = 0; n < 4; ++n) {
    double before = 0, after = 0;
    for (size_t i = n * 108; i < (n + 1) * 108; ++i) {
      if (plain[i] < 20 || plain[i] > 160) continue;
      before += static_cast<double>(plain[i]);
      after += static_cast<double>(brighter[i]);
    }
    EXPECT_GT(after / before, 0.45);
    EXPECT_LT(after / before, 1.55);
    factors.insert(static_cast<int>(after / before * 1000));
  }
  EXPECT_EQ(factors.size(), 4u);
}

// Of four channels the first and the third one are exchanged, and so are their means.
TEST_F(Augment, ChannelOrderAndMeanImageOfFourChannels) {
  caffe::Datum datum;
  datum.set_channels(4);
  datum.set_height(1);
  datum.set_width(1);
  datum.set_data("\x0a\x14\x1e\x28");
  test::write_lmdb(folder_ / "four", {{"a", datum.SerializeAsString()}});
  MeanImage mean;
  mean.shape = Shape{4, 1, 1};
  mean.data = {1, 2, 3, 4};
  write_mean_file(folder_ / "mean.binaryproto", mean);
  auto stream = test::open_stream(
      data_layer(folder_ / "four", 1, "", "channel_order: RGB mean_file: '" + folder_ / "mean.binaryproto" + "'"),
      options());
  stream->start();
  EXPECT_EQ(take_many(*stream, 1)[0].tops[0], (std::vector<float>{27, 18, 9, 36}));
}

TEST_F(Augment, TakesTheBoundsOfItsFields) {
  EXPECT_EQ(item("augment { blur { kernel: 1 sigma_min: 0.01 } }"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(item("augment { random_resized_crop { size: 1 scale_min: 0.0001 ratio_min: 0.01 } }").size(), 1u);
}

TEST(AugmentSteps, AreRegisteredForEachOfTheSchema) {
  const google::protobuf::Descriptor* schema = caffe::AugmentStep::descriptor();
  ASSERT_EQ(schema->field_count(), static_cast<int>(step_names().size()));
  for (int i = 0; i < schema->field_count(); ++i) {
    caffe::AugmentStep step;
    step.GetReflection()->MutableMessage(&step, schema->field(i));
    EXPECT_EQ(find_step_type(step)->field, schema->field(i)->name());
  }
  EXPECT_EQ(find_step_type(caffe::AugmentStep()), nullptr);
}

}  // namespace
}  // namespace trainer
