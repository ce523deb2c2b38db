// The check of data sets: hashes, sums, duplicates, problems of records, and what is at a path.
#include <bit>
#include <filesystem>
#include <fstream>
#include <limits>
#include <random>

#include "data/data_source.h"
#include "data/small_data.h"
#include "data/validate/content_hash.h"
#include "data/validate/duplicates.h"
#include "data/validate/findings.h"
#include "data/validate/open_path.h"
#include "data/validate/scan.h"
#include "formats/hdf5_file.h"

namespace trainer {
namespace {

using test::expect_contains;

PixelView view_of(const std::vector<uint8_t>& bytes, const ItemShape& shape, bool interleaved) {
  PixelView view;
  view.shape = shape;
  view.bytes = bytes.data();
  view.interleaved = interleaved;
  return view;
}

// Blue, green and red by formulas, 44 high and 60 wide.
std::vector<uint8_t> color_pattern() {
  std::vector<uint8_t> bytes;
  for (int y = 0; y < 44; ++y) {
    for (int x = 0; x < 60; ++x) {
      for (const int value : {x * 3 + y, x * y / 5 + 40, 200 - x * 2 + y * y / 9})
        bytes.push_back(static_cast<uint8_t>(value % 256));
    }
  }
  return bytes;
}

// The signs of the cosine transform that NumPy computes by the definition.
TEST(PerceptualHash, BitsAreThoseOfNumpy) {
  std::array<float, 32 * 32> gray;
  for (size_t y = 0; y < 32; ++y) {
    for (size_t x = 0; x < 32; ++x) gray[y * 32 + x] = static_cast<float>((x * 7 + y * 3 + x * y % 29 * 4) % 256);
  }
  EXPECT_EQ(PerceptualHash::bits(gray), 0xc89a3a2a2baa357eu);
}

// The image resized by Pillow, transformed by NumPy.
TEST(PerceptualHash, ColorImageIsThatOfPillowAndNumpy) {
  const std::vector<uint8_t> bytes = color_pattern();
  PerceptualHash hash;
  const std::optional<Appearance> appearance = hash.of(view_of(bytes, {3, 44, 60}, true));
  ASSERT_TRUE(appearance);
  EXPECT_EQ(appearance->hash, 0x847b6659d7ac4962u);
  EXPECT_EQ(appearance->color, (std::array<uint8_t, 3>{110, 110, 142}));
}

TEST(PerceptualHash, PlanesAndInterleavedPixelsLookTheSame) {
  const std::vector<uint8_t> bytes = color_pattern();
  std::vector<uint8_t> planes(bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) planes[i % 3 * (bytes.size() / 3) + i / 3] = bytes[i];
  PerceptualHash hash;
  const auto interleaved = hash.of(view_of(bytes, {3, 44, 60}, true));
  const auto planar = hash.of(view_of(planes, {3, 44, 60}, false));
  ASSERT_TRUE(interleaved && planar);
  EXPECT_EQ(planar->hash, interleaved->hash);
  EXPECT_EQ(content_hash(view_of(planes, {3, 44, 60}, false)), content_hash(view_of(bytes, {3, 44, 60}, true)));
}

TEST(PerceptualHash, SmallAndPlainPicturesHaveNoAppearance) {
  const std::vector<uint8_t> plain(size_t{32} * 32, 77), noise = color_pattern();
  PerceptualHash hash;
  EXPECT_FALSE(hash.of(view_of(plain, {1, 32, 32}, true)));
  EXPECT_FALSE(hash.of(view_of(noise, {1, 15, 60}, true)));
  EXPECT_FALSE(hash.of(view_of(noise, {2, 16, 16}, true)));
  EXPECT_TRUE(hash.of(view_of(noise, {1, 16, 60}, true)));
}

TEST(ContentHash, DependsOnExtentsAndOnEachValue) {
  std::vector<uint8_t> bytes = color_pattern();
  const uint64_t hash = content_hash(view_of(bytes, {3, 44, 60}, true));
  EXPECT_NE(content_hash(view_of(bytes, {3, 60, 44}, true)), hash);
  for (const size_t place : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
    bytes[place] ^= 1;
    EXPECT_NE(content_hash(view_of(bytes, {3, 44, 60}, true)), hash) << place;
    bytes[place] ^= 1;
  }
  EXPECT_EQ(content_hash(view_of(bytes, {3, 44, 60}, true)), hash);
}

// Random hashes of which many are close to another one.
std::vector<RecordSignature> close_signatures(uint32_t seed, size_t count) {
  std::mt19937_64 random(seed);
  std::mt19937_64 centers(1);
  std::vector<uint64_t> center(50);
  for (uint64_t& hash : center) hash = centers();
  std::vector<RecordSignature> signatures(count);
  for (RecordSignature& signature : signatures) {
    signature.usable = signature.has_appearance = true;
    signature.appearance.hash = center[random() % center.size()];
    for (uint64_t flips = random() % 5; flips > 0; --flips) signature.appearance.hash ^= uint64_t{1} << random() % 64;
    signature.appearance.color = {100, static_cast<uint8_t>(100 + random() % 10), 100};
    signature.content = random() % (4 * count);
    signature.label = static_cast<int32_t>(random() % 2);
  }
  return signatures;
}

// All pairs compared.
struct Expected {
  uint64_t exact = 0, relabelled = 0, near = 0;
};
Expected compare_all(const std::vector<RecordSignature>& first, const std::vector<RecordSignature>& second,
                     bool within) {
  Expected expected;
  // Of equal contents the first record of each set stands for all.
  const auto is_first = [](const std::vector<RecordSignature>& set, size_t i) {
    for (size_t j = 0; j < i; ++j) {
      if (set[j].content == set[i].content) return false;
    }
    return true;
  };
  for (size_t j = 0; j < second.size(); ++j) {
    bool exact = false, near_one = false;
    for (size_t i = 0; i < (within ? j : first.size()); ++i) {
      if (first[i].content == second[j].content && !exact) {
        exact = true;
        expected.relabelled += first[i].label != second[j].label ? 1 : 0;
      }
      near_one = near_one || (first[i].content != second[j].content && is_first(first, i) && is_first(second, j) &&
                              near(first[i].appearance, second[j].appearance));
    }
    expected.exact += exact ? 1 : 0;
    expected.near += near_one ? 1 : 0;
  }
  return expected;
}

TEST(Duplicates, AreThoseOfAComparisonOfAllPairs) {
  const std::vector<RecordSignature> train = close_signatures(2, 600), test = close_signatures(3, 300);
  const std::vector<DuplicateGroup> groups = find_duplicates({train, test});
  ASSERT_EQ(groups.size(), 6u);
  for (const DuplicateGroup& group : groups) {
    const auto& first = group.first_set == 0 ? train : test;
    const auto& second = group.second_set == 0 ? train : test;
    const Expected expected = compare_all(first, second, group.first_set == group.second_set);
    EXPECT_GT(group.records, 0u);
    EXPECT_EQ(group.records, group.exact ? expected.exact : expected.near) << group.first_set << group.second_set;
    EXPECT_EQ(group.relabelled, group.exact ? expected.relabelled : 0);
    EXPECT_EQ(group.pairs.size(), 5u);
  }
}

TEST(Duplicates, OfManyAlikePicturesAreFoundInLimitedTime) {
  std::vector<RecordSignature> alike(30000);
  for (size_t i = 0; i < alike.size(); ++i) {
    alike[i].usable = alike[i].has_appearance = true;
    alike[i].content = i;
    alike[i].appearance.hash = 0x123456789abcdef;
  }
  const std::vector<DuplicateGroup> groups = find_duplicates({alike});
  ASSERT_EQ(groups.size(), 1u);
  EXPECT_EQ(groups[0].records, alike.size() - 1);
}

struct Scanned {
  std::shared_ptr<BatchFeed> feed;
  DataScan scan;
};

Scanned scan(const caffe::LayerParameter& layer, const ScanOptions& options = {}) {
  StreamOptions stream = test::options();
  stream.in_order = true;
  Diagnostics problems;
  Scanned scanned{open_feed(layer, stream, Positions(), &problems), {}};
  problems.throw_if_errors();
  scanned.scan = scan_data_set(*scanned.feed, options);
  return scanned;
}

Findings findings(const Scanned& scanned) {
  return find_problems({{"TRAIN", "db", {}, "", {}, "", scanned.feed, {}, scanned.scan}}, {});
}

// NumPy's mean and std of the pixels of the formula.
TEST(DataScan, MeanAndDeviationAreThoseOfNumpy) {
  const test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(40, 3, 20, 18));
  for (const int threads : {1, 3}) {
    ScanOptions options;
    options.threads = threads;
    // The layer's own transformation has no effect.
    const DataScan scan =
        trainer::scan(test::data_layer(folder / "db", 8, "shuffle: true", "scale: 0.5 crop_size: 9"), options).scan;
    const std::vector<ChannelSum>& channels = scan.statistics.channels.at(3);
    ASSERT_EQ(channels.size(), 3u);
    EXPECT_NEAR(channels[0].mean(), 125.27284722222223, 1e-9);
    EXPECT_NEAR(channels[0].deviation(), 72.35809051327058, 1e-9);
    EXPECT_NEAR(channels[1].mean(), 124.93159722222222, 1e-9);
    EXPECT_NEAR(channels[1].deviation(), 72.59241792711163, 1e-9);
    EXPECT_NEAR(channels[2].mean(), 124.88666666666667, 1e-9);
    EXPECT_NEAR(channels[2].deviation(), 72.30086975041633, 1e-9);
    EXPECT_EQ(scan.statistics.records, 40u);
    EXPECT_EQ(scan.statistics.stored.begin()->first, (ItemShape{3, 20, 18}));
    EXPECT_EQ(scan.statistics.items.begin()->first, (ItemShape{3, 9, 9}));
    EXPECT_EQ(scan.statistics.labels.at(1).of_class.size(), 10u);
    EXPECT_EQ(scan.statistics.labels.at(1).of_class.at(3), 4u);
    EXPECT_EQ(scan.unusable.count, 0u);
  }
}

TEST(DataScan, NamesBadRecordsAndLabelsAndReadsOn) {
  const test::TemporaryFolder folder;
  test::Records records = test::raw_records(100, 1, 8, 8);
  records[40].second = "damaged";
  records[70].second.resize(30);
  records[20].second = test::raw_datum(20, 1, 8, 8, 12);
  test::write_lmdb(folder / "db", records);
  ScanOptions options;
  options.threads = 3;
  options.labels = {{1, {10, {}, "layer \"loss\" (SoftmaxWithLoss)"}}};
  const Scanned scanned = scan(test::data_layer(folder / "db", 8), options);
  EXPECT_EQ(scanned.scan.statistics.records, 98u);
  EXPECT_EQ(scanned.scan.unusable.count, 2u);
  const std::string text = findings(scanned).problems.render();
  expect_contains(
      text,
      {"error: 2 of 100 records cannot be used; repair or remove them\n", "record 40 (key \"00000040\") of",
       "record 70", "1 record has a label that layer \"loss\" (SoftmaxWithLoss) does not accept, the first: record 20",
       "its label is 12"});
  EXPECT_EQ(findings(scanned).problems.error_count(), 2);
}

TEST(DataScan, BadRecordsAreAWarningIfTheLayerSkipsThem) {
  const test::TemporaryFolder folder;
  test::Records records = test::raw_records(20, 1, 8, 8);
  records[4].second = "damaged";
  test::write_lmdb(folder / "db", records);
  const Findings found = findings(scan(test::data_layer(folder / "db", 8, "skip_bad_records: true")));
  EXPECT_FALSE(found.problems.has_errors());
  expect_contains(found.problems.render(), {"warning: 1 of 20 records cannot be used"});
}

TEST(DataScan, GrayAmongColorNamesBothSizes) {
  const test::TemporaryFolder folder;
  test::Records records = test::raw_records(20, 3, 8, 8);
  records[7].second = test::raw_datum(7, 1, 8, 8, 7);
  test::write_lmdb(folder / "db", records);
  const Scanned scanned = scan(test::data_layer(folder / "db", 8));
  expect_contains(findings(scanned).problems.render(),
                  {"error: the items have 2 sizes, but those of a batch must have one: some images are gray, others "
                   "are in color; make all",
                   "3x8x8: 19 records", "1x8x8: 1 record, the first is record 7", "force_color"});
  EXPECT_TRUE(findings(scan(test::data_layer(folder / "db", 1))).problems.list().empty());
}

TEST(DataScan, AWrongRootFolderIsOneProblem) {
  const test::TemporaryFolder folder;
  std::ofstream list(folder / "list.txt");
  for (int i = 0; i < 5000; ++i) list << i << ".png " << i % 3 << "\n";
  list.close();
  const Scanned scanned =
      scan(test::layer_of("name: 'd' type: 'ImageData' top: 'data' top: 'label' image_data_param { source: '" +
                          folder / "list.txt" + "' root_folder: 'nowhere/' batch_size: 4 }"));
  EXPECT_TRUE(scanned.scan.hopeless);
  EXPECT_LT(scanned.scan.unusable.count, 2000u);
  const Findings found =
      find_problems({{"TRAIN", "list.txt", {}, "nowhere/", {}, "", scanned.feed, {}, scanned.scan}}, {});
  ASSERT_EQ(found.problems.list().size(), 1u);
  expect_contains(found.problems.render(),
                  {"none of the first 1,", "nowhere/0.png", "is root_folder: \"nowhere/\" right?"});
}

TEST(DataScan, AnErrorOfTheProgressEndsIt) {
  const test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(2000, 3, 40, 40));
  ScanOptions options;
  options.threads = 2;
  options.progress = [](int64_t, int64_t) { throw Error(static_cast<ExitCode>(130), "stopped"); };
  EXPECT_EQ(test::error_text([&] { scan(test::data_layer(folder / "db", 8), options); }, static_cast<ExitCode>(130)),
            "stopped");
}

TEST(DataScan, FindsLabelsThatAreNoNumbers) {
  const test::TemporaryFolder folder;
  const std::vector<float> items = {1, 2, 3}, labels = {0, std::numeric_limits<float>::quiet_NaN(), 1};
  {
    Hdf5File file = Hdf5File::create(folder / "rows.h5");
    file.write_floats("data", Shape{3, 1}, items.data());
    file.write_floats("label", Shape{3}, labels.data());
    file.close();
  }
  const std::shared_ptr<BatchFeed> feed = open_data_path(folder / "rows.h5", {});
  const Scanned scanned{feed, scan_data_set(*feed, {})};
  EXPECT_EQ(scanned.scan.statistics.records, 2u);
  expect_contains(findings(scanned).problems.render(), {"row 1 of", "a value of its label is nan"});
}

// The largest dataset has the items, the others are labels.
TEST(DataScan, ReadsRowsOfHdf5Files) {
  const test::TemporaryFolder folder;
  const std::vector<float> items = {1, 2, 3, 4, 5, std::numeric_limits<float>::quiet_NaN(), 7, 8},
                           labels = {0, 2, 1, 2};
  {
    Hdf5File file = Hdf5File::create(folder / "rows.h5");
    file.write_floats("data", Shape{4, 2}, items.data());
    file.write_floats("label", Shape{4}, labels.data());
    file.close();
  }
  const std::shared_ptr<BatchFeed> feed = open_data_path(folder / "rows.h5", {});
  const Scanned scanned{feed, scan_data_set(*feed, {})};
  EXPECT_EQ(scanned.scan.statistics.records, 3u);
  EXPECT_EQ(scanned.scan.statistics.channels.at(1)[0].mean(), 25.0 / 6);  // of 1, 2, 3, 4, 7, 8
  EXPECT_EQ(scanned.scan.statistics.labels.at(1).of_class, (std::map<int64_t, uint64_t>{{0, 1}, {2, 2}}));
  expect_contains(findings(scanned).problems.render(), {"row 2 of", "value 1 of the item is nan"});
}

// A window file counts the classes of its windows, and names the line of a window that leaves its image.
TEST(DataScan, ReadsTheImagesOfAWindowFile) {
  const test::TemporaryFolder folder;
  std::ofstream(folder / "windows.txt") << "# 0\n"
                                        << folder / "a.ppm"
                                        << "\n3 4 5\n3\n1 0.9 0 0 2 2\n2 0.8 1 1 3 3\n0 0.1 0 0 1 1\n"
                                        << "# 1\n"
                                        << folder / "a.ppm"
                                        << "\n3 4 5\n1\n1 0.9 0 0 9 9\n";
  std::ofstream(folder / "a.ppm", std::ios::binary) << "P6 5 4 255\n" << std::string(60, 'x');
  const Scanned scanned =
      scan(test::layer_of("name: 'd' type: 'WindowData' top: 'data' top: 'label' transform_param { crop_size: 4 } "
                          "window_data_param { source: '" +
                          folder / "windows.txt" + "' batch_size: 4 }"));
  EXPECT_EQ(scanned.scan.records, 2u);
  EXPECT_EQ(scanned.scan.statistics.labels.at(1).of_class, (std::map<int64_t, uint64_t>{{0, 1}, {1, 1}, {2, 1}}));
  expect_contains(findings(scanned).problems.render(),
                  {"image 1 of", "line 12: its window from (0, 0) to (9, 9) leaves the image"});
}

void write(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

TEST(DataPath, IsRecognizedByItsContent) {
  const test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(3, 1, 8, 8));
  for (const char* name : {"a/1.pgm", "b/2.pgm"}) write(folder / "photos/" + name, "P5 2 1 255\n12");
  write(folder / "list.txt", "photos/a/1.pgm 0\nphotos/b/2.pgm 1\n");
  write(folder / "values.txt", "photos/a/1.pgm 0.5 1\n");
  write(folder / "net.prototxt", "# a net\nlayer { name: 'a' }\n");
  write(folder / "weights", std::string("\x0A\x03net\0\1", 7));
  EXPECT_EQ(kind_of_path(folder / "net.prototxt"), PathKind::kPrototxt);
  EXPECT_EQ(kind_of_path(folder / "weights"), PathKind::kWeights);
  EXPECT_EQ(open_data_path(folder / "db", {})->stored_records(), 3u);
  EXPECT_EQ(open_data_path(folder / "photos", {})->class_names(), (std::vector<std::string>{"a", "b"}));
  // Below the folder of the list.
  const auto list = open_data_path(folder / "list.txt", {}), values = open_data_path(folder / "values.txt", {});
  EXPECT_EQ(scan_data_set(*list, {}).statistics.records, 2u);
  EXPECT_EQ(scan_data_set(*values, {}).statistics.labels.at(1).values, 2u);
  write(folder / "empty", "");
  expect_contains(test::error_text([&] { kind_of_path(folder / "nothing"); }), {"nothing"});
  expect_contains(test::error_text([&] { kind_of_path(folder / "empty"); }), {"empty is empty"});
  expect_contains(test::error_text([&] { kind_of_path(folder / "photos/a/1.pgm"); }), {"is a single image"});
  expect_contains(test::error_text([&] { open_data_path(folder / "photos/a", {}); }), {"has images, but no folders"});
}

}  // namespace
}  // namespace trainer
