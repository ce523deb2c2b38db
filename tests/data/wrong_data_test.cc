// Messages to the user for invalid data.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "data/small_data.h"

namespace trainer {
namespace {

using test::data_layer;
using test::error_text;
using test::expect_contains;
using test::options;
using test::take_many;

std::string open_error(const caffe::LayerParameter& layer, ExitCode code = ExitCode::kData) {
  return error_text([&] { test::open_stream(layer, options()); }, code);
}

TEST(WrongData, MissingDatabase) {
  test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "train_lmdb");
  expect_contains(open_error(data_layer(folder / "train_lmbd", 1)),
                  {"there is no database " + folder / "train_lmbd", "did you mean train_lmdb?", "trainer convert"});
  expect_contains(open_error(data_layer(folder / "a/b/db", 1)), {folder / "a/b/db", "folder does not exist"});
}

TEST(WrongData, NoLmdb) {
  test::TemporaryFolder folder;
  std::filesystem::create_directory(folder / "empty");
  expect_contains(open_error(data_layer(folder / "empty", 1)), {"a folder without data.mdb", "it holds nothing"});
  std::filesystem::create_directory(folder / "level");
  std::ofstream(folder / "level/CURRENT") << "MANIFEST-000001\n";
  expect_contains(open_error(data_layer(folder / "level", 1)), {"LevelDB"});
  std::filesystem::create_directory(folder / "text");
  std::ofstream(folder / "text/data.mdb") << std::string(20000, 'x');
  expect_contains(open_error(data_layer(folder / "text", 1)), {"text/data.mdb is not an LMDB database"});
  std::ofstream(folder / "file") << "hello";
  expect_contains(open_error(data_layer(folder / "file", 1)), {"/file is not an LMDB database"});
  test::write_lmdb(folder / "lmdb", test::raw_records(1, 1, 2, 2));
  caffe::LayerParameter layer = data_layer(folder / "lmdb", 1);
  layer.mutable_data_param()->clear_backend();
  expect_contains(open_error(layer),
                  {"holds an LMDB database", "backend: LMDB in data_param (without a backend it is LEVELDB"});
}

TEST(WrongData, EmptyAndCutShort) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "empty", {});
  expect_contains(open_error(data_layer(folder / "empty", 1)), {folder / "empty", "is an empty database"});
  test::write_lmdb(folder / "short", test::raw_records(200, 3, 32, 32));
  const std::string file = folder / "short/data.mdb";
  std::filesystem::resize_file(file, std::filesystem::file_size(file) / 2);
  expect_contains(open_error(data_layer(folder / "short", 1)), {"short/data.mdb is truncated"});
}

// Reading a damaged file gives batches or an Error, whatever it contains.
TEST(WrongData, DamagedPagesNeverCrash) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "good", test::raw_records(60, 3, 8, 8));
  const std::string file = folder / "good/data.mdb";
  std::ifstream in(file, std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::mt19937 random(1);
  int errors = 0;
  for (int trial = 0; trial < 200; ++trial) {
    std::string bytes = good;
    for (int hits = 0; hits < 4; ++hits) {
      // Mostly the headers of pages and the offsets after them.
      size_t at = random() % bytes.size();
      if (hits > 0) at = at / 4096 * 4096 + random() % 160;
      for (size_t i = at; i < bytes.size() && i < at + 4; ++i) bytes[i] = static_cast<char>(random());
    }
    const std::string damaged = folder / ("damaged" + std::to_string(trial));
    std::filesystem::create_directory(damaged);
    std::ofstream(damaged + "/data.mdb", std::ios::binary) << bytes;
    try {
      auto stream = test::open_stream(data_layer(damaged, 10, trial % 2 == 0 ? "shuffle: true" : ""), options());
      stream->start();
      for (int i = 0; i < 12; ++i) stream->next();
    } catch (const Error& error) {
      ++errors;
      EXPECT_EQ(error.code(), ExitCode::kData) << error.what();
    }
    std::filesystem::remove_all(damaged);
  }
  EXPECT_GT(errors, 20);
}

// The library trusts the heads, so page sizes, last pages and transactions of both are checked before it is called.
TEST(WrongData, DamagedHeadsNeverCrash) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "good", test::raw_records(60, 3, 8, 8));
  std::ifstream in(folder / "good/data.mdb", std::ios::binary);
  const std::string good((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto outcome = [&](const std::string& bytes) {
    std::filesystem::remove_all(folder / "damaged");
    std::filesystem::create_directory(folder / "damaged");
    std::ofstream(folder / "damaged/data.mdb", std::ios::binary) << bytes;
    try {
      auto stream = test::open_stream(data_layer(folder / "damaged", 10), options());
      stream->start();
      for (int i = 0; i < 6; ++i) stream->next();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kData) << error.what();
      return std::string(error.what());
    }
    return std::string();
  };
  constexpr size_t kSecondHeadPageSize = 4096 + 16 + 24;
  for (uint32_t page_size : {0u, 1u, 512u, 8192u, 1u << 20, 1u << 31}) {
    std::string bytes = good;
    std::memcpy(bytes.data() + kSecondHeadPageSize, &page_size, sizeof page_size);
    expect_contains(outcome(bytes), {"damaged/data.mdb is damaged: its heads have different page sizes"});
  }
  std::mt19937 random(1);
  int errors = 0;
  for (int trial = 0; trial < 300; ++trial) {
    std::string bytes = good;
    for (size_t hits = 1 + random() % 3; hits > 0; --hits) {
      const size_t at = random() % 2 * 4096 + random() % 160;
      for (size_t i = at; i < at + 4; ++i)
        bytes[i] = static_cast<char>(random() % 3 == 0 ? random() : random() % 2 * 255);
    }
    if (!outcome(bytes).empty()) ++errors;
  }
  EXPECT_GT(errors, 20);
}

// SIGBUS becomes an error of the batch, also if bad records are skipped.
TEST(WrongData, CutShortWhileItIsRead) {
  for (const char* fields : {"", "shuffle: true", "skip_bad_records: true"}) {
    for (size_t left : {0, 3 * 4096 + 100}) {
      test::TemporaryFolder folder;
      test::write_lmdb(folder / "db", test::raw_records(2000, 3, 32, 32));
      auto stream = test::open_stream(data_layer(folder / "db", 10, fields), options(caffe::TRAIN, 2));
      stream->start();
      stream->next();
      std::filesystem::resize_file(folder / "db/data.mdb", left);
      const std::string text = error_text([&] {
        for (int i = 0; i < 200; ++i) stream->next();
      });
      expect_contains(text, {"db/data.mdb was truncated while it was read"});
    }
  }
}

TEST(WrongData, LabelOutOfRangeIsNamedAfterTheBatchesBefore) {
  test::TemporaryFolder folder;
  test::Records records = test::raw_records(20, 1, 2, 2);
  records[13].second = test::raw_datum(13, 1, 2, 2, 12);
  test::write_lmdb(folder / "db", records);
  for (int workers : {1, 3}) {
    auto stream =
        test::open_stream(data_layer(folder / "db", 4, "skip_bad_records: true"), options(caffe::TRAIN, workers));
    stream->add_label_range(1, {10, std::nullopt, "layer 'loss' (SoftmaxWithLoss)"});
    stream->start();
    take_many(*stream, 3);
    const std::string text = error_text([&] { stream->next(); });
    expect_contains(text, {"record 13 (key \"00000013\") of " + folder / "db", "its label is 12",
                           "layer 'loss' (SoftmaxWithLoss) expects labels 0 to 9", "13 classes", "ignore_label: 12"});
    EXPECT_EQ(error_text([&] { stream->next(); }), text);
    EXPECT_EQ(stream->cursor().records, 12u);
  }
  auto ignoring = test::open_stream(data_layer(folder / "db", 4), options());
  ignoring->add_label_range(1, {10, 12, "layer 'loss' (SoftmaxWithLoss)"});
  ignoring->start();
  take_many(*ignoring, 10);
}

TEST(WrongData, BadRecordIsFatalOrLeftOut) {
  test::TemporaryFolder folder;
  test::Records records = test::raw_records(10, 1, 2, 2);
  records[3].second = records[3].second.substr(0, records[3].second.size() - 3);
  records[4].second = test::raw_datum(4, 1, 3, 3, 4);
  records[9].second = "";
  test::write_lmdb(folder / "db", records);

  auto strict = test::open_stream(data_layer(folder / "db", 2), options());
  strict->start();
  take_many(*strict, 1);
  expect_contains(
      error_text([&] { strict->next(); }),
      {"layer \"data\" (Data)", "record 3 (key \"00000003\") of " + folder / "db", "skip_bad_records: true"});

  StreamOptions listening = options(caffe::TRAIN, 3);
  std::vector<std::string> lines;
  listening.log = [&](const std::string& line) { lines.push_back(line); };
  auto lenient = test::open_stream(data_layer(folder / "db", 5, "skip_bad_records: true"), listening);
  lenient->start();
  const std::vector<test::Batch> batches = take_many(*lenient, 2);
  // The next good record replaces each bad one; after the last record comes the first.
  EXPECT_EQ(batches[0].tops[1], (std::vector<float>{0, 1, 2, 5, 5}));
  EXPECT_EQ(batches[1].tops[1], (std::vector<float>{5, 6, 7, 8, 0}));
  EXPECT_EQ(lenient->skipped_records(), 4);  // 3 and 4 for row 3, 4 for row 4, 9 for row 9
  ASSERT_EQ(lines.size(), 4u);
  expect_contains(lines[0], {"record 3"});
  expect_contains(lines[1], {"record 4", "gives an item of 1x3x3", "gave 1x2x2"});
}

TEST(WrongData, OnlyBadRecords) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", {{"a", "?"}, {"b\n", "?"}});
  expect_contains(open_error(data_layer(folder / "db", 2, "skip_bad_records: true")), {"no record is left"});

  // If no record is good, skipping bad ones does not help.
  const std::string text = open_error(data_layer(folder / "db", 2));
  expect_contains(text, {"record 0 (key \"a\") of " + folder / "db", "(bad records after it: 1)"});
  EXPECT_EQ(text.find("skip_bad_records"), std::string::npos) << text;
}

TEST(WrongData, WrongTransformations) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(4, 3, 8, 8));
  const auto transform_error = [&](const std::string& transform) {
    return open_error(data_layer(folder / "db", 2, "", transform));
  };
  expect_contains(transform_error("crop_size: 9"), {"crop_size 9", "3x8x8"});
  expect_contains(transform_error("mean_value: 1 mean_value: 2"),
                  {"Specify either 1 mean_value or as many as channels: 3"});
  expect_contains(
      open_error(data_layer(folder / "db", 2, "", "mean_file: 'x' mean_value: 2"), ExitCode::kConfiguration),
      {"cannot specify mean_file and mean_value at the same time"});
  expect_contains(
      open_error(data_layer(folder / "db", 2, "", "force_gray: true force_color: true"), ExitCode::kConfiguration),
      {"cannot set both force_color and force_gray"});
  expect_contains(open_error(data_layer(folder / "db", 0), ExitCode::kConfiguration), {"batch_size is 0"});
}

}  // namespace
}  // namespace trainer
