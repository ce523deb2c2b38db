// Converts pictures and CIFAR-10 files to databases, and computes the mean of a database.
#include <filesystem>
#include <fstream>
#include <set>

#include "data/convert/convert.h"
#include "data/pictures/image_decoder.h"
#include "data/pictures/image_encoder.h"
#include "data/records/lmdb_source.h"
#include "data/small_data.h"
#include "formats/datum.h"
#include "formats/mean_file.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

using test::error_text;
using test::expect_contains;

void write(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }
std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

std::vector<std::pair<std::string, caffe::Datum>> records(const std::string& database) {
  LmdbSource source(database);
  std::vector<std::pair<std::string, caffe::Datum>> all;
  for (uint64_t i = 0; i < source.size(); ++i) {
    Record record;
    source.read(i, record);
    caffe::Datum datum;
    EXPECT_TRUE(datum.ParseFromArray(record.value.data(), static_cast<int>(record.value.size())));
    all.emplace_back(record.key, datum);
  }
  return all;
}

// Two colour pictures of 2x1, one file that is not a picture and one that is missing.
class ConvertImages : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directory(folder_ / "a b");
    write(folder_ / "x.ppm", "P6 2 1 255\n\x01\x02\x03\x04\x05\x06");
    write(folder_ / "a b/y.ppm", "P6 2 1 255\n\x0b\x0c\x0d\x0e\x0f\x10");
    write(folder_ / "bad.ppm", "no picture");
    write(folder_ / "list", "x.ppm 3\nbad.ppm 1\na b/y.ppm 7\nnone.ppm 2\n");
    request_.root = folder_ / "";
    request_.list = folder_ / "list";
    request_.target = folder_ / "db";
  }
  ImagesConverted convert() {
    warnings_.clear();
    return convert_images(request_, [this](const std::string& line) { warnings_.push_back(line); });
  }

  test::TemporaryFolder folder_;
  ImagesToDatabase request_;
  std::vector<std::string> warnings_;
};

TEST_F(ConvertImages, WritesPlanesUnderNumberedKeysAndLeavesBadPicturesOut) {
  const ImagesConverted converted = convert();
  EXPECT_EQ(converted.records, 2);
  EXPECT_EQ(converted.skipped, 2);
  ASSERT_EQ(warnings_.size(), 2u);
  expect_contains(warnings_[0], {"list:2", "bad.ppm", "unknown format"});
  expect_contains(warnings_[1], {"list:4", "none.ppm", "No such file"});
  const auto all = records(folder_ / "db");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].first, "00000000_x.ppm");
  EXPECT_EQ(all[1].first, "00000002_a b/y.ppm") << "bad lines count";
  const caffe::Datum& datum = all[0].second;
  EXPECT_EQ(datum.channels(), 3);
  EXPECT_EQ(datum.height(), 1);
  EXPECT_EQ(datum.width(), 2);
  EXPECT_EQ(datum.data(), "\x03\x06\x02\x05\x01\x04") << "blue, green, red planes";
  EXPECT_EQ(datum.label(), 3);
  EXPECT_TRUE(datum.has_encoded());
  EXPECT_FALSE(datum.encoded());
  EXPECT_EQ(all[1].second.label(), 7);
}

TEST_F(ConvertImages, GrayAndResized) {
  request_.gray = true;
  request_.resize_height = 2;
  request_.resize_width = 4;
  convert();
  const caffe::Datum datum = records(folder_ / "db")[0].second;
  EXPECT_EQ(datum.channels(), 1);
  EXPECT_EQ(datum.height(), 2);
  // (4899 R + 9617 G + 1868 B + 8192) / 16384 is 2 and 5; between them at quarters 2.75 and 4.25.
  EXPECT_EQ(datum.data(), "\x02\x03\x04\x05\x02\x03\x04\x05");
}

TEST_F(ConvertImages, EncodedKeepsTheFileWhereItsEndingFits) {
  request_.encoded = true;
  convert();
  const caffe::Datum kept = records(folder_ / "db")[0].second;
  EXPECT_TRUE(kept.encoded());
  EXPECT_FALSE(kept.has_channels());
  EXPECT_EQ(kept.data(), bytes_of(folder_ / "x.ppm"));

  request_.target = folder_ / "png";
  request_.encode_type = "png";
  convert();
  const caffe::Datum png = records(folder_ / "png")[0].second;
  ImageDecoder decoder;
  const PixelView view = decoder.decode(png.data(), ColorMode::kAsStored);
  EXPECT_EQ(view.shape, (ItemShape{3, 1, 2}));
  EXPECT_EQ(std::string(view.bytes, view.bytes + 6), "\x03\x02\x01\x06\x05\x04");
  EXPECT_TRUE(png.encoded());
}

TEST_F(ConvertImages, EncodedGrayIsGray) {
  request_.gray = true;
  request_.encode_type = "png";
  convert();
  const caffe::Datum datum = records(folder_ / "db")[0].second;
  write(folder_ / "x.png", datum.data());
  write(folder_ / "list", "x.png 0\n");
  ImageDecoder decoder;
  EXPECT_EQ(decoder.shape(datum.data(), ColorMode::kAsStored), (ItemShape{1, 1, 2}));

  PixelView view;
  const uint8_t colours[] = {1, 2, 3, 4, 5, 6};
  view.shape = {3, 1, 2};
  view.bytes = colours;
  view.interleaved = true;
  write(folder_ / "x.png", encode_image(view, "png"));
  request_.target = folder_ / "again";
  request_.encode_type.clear();
  request_.encoded = true;
  convert();
  const caffe::Datum gray = records(folder_ / "again")[0].second;
  EXPECT_EQ(decoder.shape(gray.data(), ColorMode::kAsStored), (ItemShape{1, 1, 2}));
}

TEST_F(ConvertImages, WhatItsProgressThrowsLeavesNothingBehind) {
  EXPECT_THROW(convert_images(request_, nullptr,
                              [](int64_t done, int64_t) {
                                if (done > 0) throw data_error("stopped");
                              }),
               Error);
  for (const fs::directory_entry& entry : fs::directory_iterator(std::string(folder_ / "")))
    EXPECT_NE(entry.path().filename().string().substr(0, 2), "db") << entry.path();
}

TEST_F(ConvertImages, JpegIsEncodedAtHighQualityAndJpegEqualsJpg) {
  write(folder_ / "flat.jpeg", "");
  std::vector<uint8_t> pixels;
  for (int i = 0; i < 16 * 16; ++i) pixels.insert(pixels.end(), {50, 100, 200});
  PixelView view;
  view.shape = {3, 16, 16};
  view.bytes = pixels.data();
  view.interleaved = true;
  const std::string file = encode_image(view, "jpg");
  ImageDecoder decoder;
  const PixelView back = decoder.decode(file, ColorMode::kAsStored);
  for (int i = 0; i < 16 * 16 * 3; ++i) ASSERT_NEAR(back.bytes[i], pixels[static_cast<size_t>(i)], 2);
  write(folder_ / "flat.jpeg", file);
  write(folder_ / "list", "flat.jpeg 0\n");
  request_.encode_type = "jpg";
  convert();
  EXPECT_EQ(records(folder_ / "db")[0].second.data(), file);
}

TEST_F(ConvertImages, ShuffleMovesLinesWithTheirLabels) {
  std::string list;
  for (int i = 0; i < 30; ++i) list += (i % 2 == 0 ? "x.ppm " : "a b/y.ppm ") + std::to_string(i) + "\n";
  write(folder_ / "list", list);
  request_.shuffle = true;
  convert();
  const auto all = records(folder_ / "db");
  std::set<int> labels;
  bool moved = false;
  for (size_t i = 0; i < all.size(); ++i) {
    const int label = all[i].second.label();
    labels.insert(label);
    moved = moved || label != static_cast<int>(i);
    EXPECT_EQ(all[i].first, test::key(static_cast<int>(i)) + (label % 2 == 0 ? "_x.ppm" : "_a b/y.ppm"));
  }
  EXPECT_EQ(labels.size(), 30u);
  EXPECT_TRUE(moved);
}

TEST_F(ConvertImages, MistakesLeaveNothingBehind) {
  write(folder_ / "big.ppm", "P6 1 1 255\nabc");
  write(folder_ / "mixed", "x.ppm 3\nbig.ppm 1\n");
  request_.list = folder_ / "mixed";
  request_.check_size = true;
  expect_contains(error_text([&] { convert(); }), {"mixed:2", "3x1x1", "3x1x2"});
  request_.check_size = false;
  request_.root = folder_ / "nowhere/";
  expect_contains(error_text([&] { convert(); }), {"none of the 2 images", "/ at its end?"});
  request_.resize_width = 3;
  expect_contains(error_text([&] { convert(); }, ExitCode::kConfiguration), {"or neither"});
  request_.resize_width = 0;
  request_.encode_type = "gif";
  expect_contains(error_text([&] { convert(); }, ExitCode::kConfiguration), {"\"gif\" is not supported"});
  for (const auto& entry : fs::directory_iterator(folder_ / ""))
    EXPECT_EQ(entry.path().string().find("/db"), std::string::npos) << entry.path();
  fs::create_directory(folder_ / "db");
  request_.encode_type = "";
  expect_contains(error_text([&] { convert(); }), {"db exists already"});
}

TEST_F(ConvertImages, KeysThatLmdbCannotTakeAreNamed) {
  std::string path = "./";
  while (path.size() < 510) path += "./";
  write(folder_ / "list", path + "x.ppm 1\n");
  expect_contains(error_text([&] { convert(); }), {"bytes long, and LMDB allows 1 to 511"});
}

TEST(ConvertCifar, ReadsTheBinaryFiles) {
  const test::TemporaryFolder folder;
  std::string all;
  for (int file = 1; file <= 5; ++file) {
    std::string bytes;
    for (int i = 0; i < 2; ++i) bytes.append(1, static_cast<char>(file)).append(3072, static_cast<char>(file * 10 + i));
    write(folder / ("data_batch_" + std::to_string(file) + ".bin"), bytes);
  }
  std::string bytes(1, '\x09');
  for (int i = 0; i < 3072; ++i) bytes += static_cast<char>(i / 1024 + 1);
  write(folder / "test_batch.bin", bytes);
  const auto counts = convert_cifar({folder / "", folder / "", "lmdb"});
  EXPECT_EQ(counts, (std::pair<int64_t, int64_t>(10, 1)));
  const auto train = records(folder / "cifar10_train_lmdb"), test = records(folder / "cifar10_test_lmdb");
  ASSERT_EQ(train.size(), 10u);
  EXPECT_EQ(train[7].first, "00007");
  EXPECT_EQ(train[7].second.label(), 4);
  EXPECT_EQ(train[7].second.data(), std::string(3072, 41));
  EXPECT_EQ(test[0].second.data(), bytes.substr(1)) << "planes stay red, green, blue";
  EXPECT_EQ(test[0].second.channels(), 3);
  EXPECT_EQ(test[0].second.height(), 32);

  fs::remove_all(folder / "cifar10_train_lmdb");
  fs::remove_all(folder / "cifar10_test_lmdb");
  write(folder / "data_batch_3.bin", std::string(3000, 'x'));
  expect_contains(error_text([&] {
                    convert_cifar({folder / "", folder / "", "lmdb"});
                  }),
                  {"data_batch_3.bin is 3,000 bytes long", "3073 bytes"});
  EXPECT_FALSE(fs::exists(folder / "cifar10_train_lmdb"));
}

TEST(ComputeMean, DividesSumsByTheNumberOfRecords) {
  const test::TemporaryFolder folder;
  const std::vector<float> values = {0.5f, 1.5f, 2.5f, 3.5f};
  test::write_lmdb(folder / "db", {{"a", serialize_datum(2, 1, 2, std::string_view("\x01\x02\x03\xff", 4), 0)},
                                   {"b", serialize_datum(2, 1, 2, std::string_view("\x02\x02\x04\xfe", 4), 0)},
                                   {"c", serialize_datum(2, 1, 2, values, 0)}});
  const DatabaseMean mean = compute_mean(folder / "db", "lmdb", folder / "mean.binaryproto", {});
  EXPECT_EQ(mean.records, 3);
  const MeanImage image = read_mean_file(folder / "mean.binaryproto");
  EXPECT_EQ(image.shape, (Shape{2, 1, 2}));
  EXPECT_EQ(image.data, (std::vector<float>{3.5f / 3, 5.5f / 3, 9.5f / 3, 512.5f / 3}));
  EXPECT_NEAR(mean.channels[0], 1.5, 1e-6);
  EXPECT_NEAR(mean.channels[1], 87, 1e-5);
  caffe::BlobProto blob;
  std::ifstream in(folder / "mean.binaryproto", std::ios::binary);
  ASSERT_TRUE(blob.ParseFromIstream(&in));
  EXPECT_EQ(blob.num(), 1);
  EXPECT_FALSE(blob.has_shape());

  expect_contains(error_text([&] { compute_mean(folder / "db", "lmdb", folder / "mean.binaryproto", {}); }),
                  {"exists already"});
  test::write_lmdb(folder / "two", {{"a", test::raw_datum(0, 1, 2, 2, 0)}, {"b", test::raw_datum(0, 1, 2, 3, 0)}});
  expect_contains(error_text([&] { compute_mean(folder / "two", "lmdb", "", {}); }),
                  {"record 1 (key \"b\")", "1x2x3", "1x2x2"});
}

// 70,000 records of 255: a float sum could not count in ones above 2^24.
TEST(ComputeMean, StaysExactOverManyRecords) {
  const test::TemporaryFolder folder;
  test::Records all;
  for (int i = 0; i < 70000; ++i)
    all.emplace_back(test::key(i), serialize_datum(1, 1, 1, std::string_view(i % 2 == 0 ? "\xff" : "\xfc", 1), 0));
  test::write_lmdb(folder / "db", all);
  EXPECT_EQ(compute_mean(folder / "db", "lmdb", "", {}).channels[0], 253.5);
}

}  // namespace
}  // namespace trainer
