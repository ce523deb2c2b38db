// LevelDB databases, for builds with LevelDB. The library itself writes the databases.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "data/records/leveldb.h"
#include "data/records/record_writer.h"
#include "data/small_data.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

using test::error_text;
using test::expect_contains;
using test::options;
using test::take_many;

bool built_with_leveldb() {
  try {
    make_record_writer("leveldb", "/nowhere/at/all");
  } catch (const Error& error) {
    return error.code() == ExitCode::kData;
  }
  return true;
}

class LevelDb : public testing::Test {
 protected:
  void SetUp() override {
    if (!built_with_leveldb()) GTEST_SKIP() << "built without LevelDB";
  }
  void write(const std::string& name, const test::Records& records) {
    const auto writer = make_record_writer("leveldb", folder_ / name);
    for (const auto& [key, value] : records) writer->put(key, value);
    writer->finish();
  }
  caffe::LayerParameter layer(const std::string& name, int batch, const std::string& fields = "") {
    caffe::LayerParameter layer = test::data_layer(folder_ / name, batch, fields);
    layer.mutable_data_param()->clear_backend();  // LEVELDB is the default
    return layer;
  }
  // Names, sizes and bytes of a folder's files.
  std::set<std::string> contents(const std::string& name) {
    std::set<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder_ / name)) {
      std::ifstream in(entry.path(), std::ios::binary);
      all.insert(entry.path().filename().string() + ":" +
                 std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()));
    }
    return all;
  }

  test::TemporaryFolder folder_;
};

TEST_F(LevelDb, GivesTheBatchesOfTheSameRecordsInLmdb) {
  const test::Records records = test::raw_records(23, 2, 3, 4);
  write("level", records);
  test::write_lmdb(folder_ / "lmdb", records);
  for (const char* fields : {"", "shuffle: true", "workers: 3 shuffle: true"}) {
    auto level = test::open_stream(layer("level", 5, fields), options());
    auto lmdb = test::open_stream(test::data_layer(folder_ / "lmdb", 5, fields), options());
    EXPECT_EQ(level->records_per_epoch(), 23);
    level->start();
    lmdb->start();
    EXPECT_EQ(take_many(*level, 12), take_many(*lmdb, 12)) << fields;
  }
}

TEST_F(LevelDb, CutShortWhileItIsRead) {
  test::Records records;
  for (int i = 0; i < 4000; ++i) records.emplace_back(test::key(i), test::raw_datum(i, 1, 64, 64, 0));
  write("level", records);
  auto stream = test::open_stream(layer("level", 10, "skip_bad_records: true"), options(caffe::TRAIN, 2));
  stream->start();
  stream->next();
  int tables = 0;
  for (const auto& entry : fs::directory_iterator(folder_ / "level")) {
    if (entry.path().extension() != ".ldb") continue;
    ++tables;
    fs::resize_file(entry.path(), 0);
  }
  ASSERT_GT(tables, 0);
  const std::string text = error_text([&] {
    for (int i = 0; i < 400; ++i) stream->next();
  });
  expect_contains(text, {"the LevelDB database " + folder_ / "level"});
}

TEST_F(LevelDb, ComesInKeyOrderAcrossTablesAndLogs) {
  // 20,000 records of 4 KiB: several tables, the rest in the log.
  test::Records records;
  for (int i = 0; i < 20000; ++i)
    records.emplace_back(test::key((i * 7919) % 20000), std::string(4096, static_cast<char>('a' + i % 26)));
  write("level", records);
  const auto source = open_leveldb_source(folder_ / "level", {});
  ASSERT_EQ(source->size(), 20000u);
  Record record, next;
  for (uint64_t i = 0; i < source->size(); ++i) {
    source->read(i, record);
    ASSERT_EQ(record.key, test::key(static_cast<int>(i)));
  }
  for (uint64_t i : {19999u, 3u, 15000u, 15001u, 0u}) {
    source->read(i, record);
    ASSERT_EQ(record.key, test::key(static_cast<int>(i)));
    ASSERT_EQ(record.value.size(), 4096u);
    source->read_following(record, next);
    ASSERT_EQ(next.index, (i + 1) % 20000);
    ASSERT_EQ(next.key, test::key(static_cast<int>((i + 1) % 20000)));
  }
}

TEST_F(LevelDb, ResumesBitForBit) {
  write("level", test::raw_records(10, 1, 4, 4));
  const auto shuffled = layer("level", 3, "shuffle: true");
  auto whole = test::open_stream(shuffled, options());
  whole->start();
  take_many(*whole, 5);
  auto resumed = test::open_stream(shuffled, options());
  resumed->seek(whole->cursor());
  resumed->start();
  EXPECT_EQ(take_many(*resumed, 5), take_many(*whole, 5));
}

TEST_F(LevelDb, ReadingChangesNoFileAndNeedsNoLock) {
  write("level", test::raw_records(10, 1, 4, 4));
  const auto before = contents("level");
  fs::permissions(folder_ / "level", fs::perms::owner_read | fs::perms::owner_exec);
  {
    auto first = test::open_stream(layer("level", 10), options());
    auto second = test::open_stream(layer("level", 10), options());
    first->start();
    second->start();
    EXPECT_EQ(take_many(*first, 2), take_many(*second, 2));
  }
  fs::permissions(folder_ / "level", fs::perms::owner_all);
  EXPECT_EQ(contents("level"), before);
}

TEST_F(LevelDb, OneThatIsBeingWrittenIsRefused) {
  write("level", test::raw_records(3, 1, 4, 4));
  int ready[2], done[2];
  ASSERT_EQ(pipe(ready) + pipe(done), 0);
  const pid_t child = fork();
  if (child == 0) {
    const int descriptor = ::open((folder_ / "level/LOCK").c_str(), O_RDWR | O_CREAT, 0644);
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    char byte = ::fcntl(descriptor, F_SETLK, &lock) == 0 ? 'y' : 'n';
    if (::write(ready[1], &byte, 1) != 1 || ::read(done[0], &byte, 1) != 1) _exit(1);
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, 'y');
  expect_contains(error_text([&] { open_leveldb_source(folder_ / "level", {}); }),
                  {"is open in process " + std::to_string(child), "wait until that ends"});
  ASSERT_EQ(::write(done[1], "x", 1), 1);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(open_leveldb_source(folder_ / "level", {})->size(), 3u);
}

TEST_F(LevelDb, WhatIsWrongIsNamed) {
  const auto reason = [&](const std::string& name) {
    return error_text([&] { open_leveldb_source(folder_ / name, {}); });
  };
  expect_contains(reason("train_levle"), {"there is no database", "trainer convert"});
  test::write_lmdb(folder_ / "lmdb", test::raw_records(1, 1, 2, 2));
  expect_contains(reason("lmdb"), {"holds an LMDB database", "backend: LMDB"});
  write("level", test::raw_records(3, 1, 2, 2));
  expect_contains(error_text([&] { test::open_stream(test::data_layer(folder_ / "level", 1), options()); }),
                  {"holds a LevelDB database", "backend: LEVELDB"});
  fs::create_directory(folder_ / "none");
  expect_contains(reason("none"), {"a folder without CURRENT", "it holds nothing"});
  std::ofstream(folder_ / "file") << "x";
  expect_contains(reason("file"), {"is a file"});
  write("empty", {});
  expect_contains(reason("empty"), {"is an empty database"});
}

TEST_F(LevelDb, DamageEndsInAnError) {
  test::Records records;
  for (int i = 0; i < 400; ++i) records.emplace_back(test::key(i), test::raw_datum(i, 3, 8, 8, 1));
  write("level", records);
  for (const auto& entry : fs::directory_iterator(folder_ / "level")) {
    const std::string name = entry.path().filename().string();
    if (name == "LOCK" || name.compare(0, 3, "LOG") == 0 || fs::file_size(entry.path()) == 0) continue;
    fs::remove_all(folder_ / "copy");
    fs::copy(folder_ / "level", folder_ / "copy");
    std::fstream file(folder_ / "copy/" + name, std::ios::in | std::ios::out | std::ios::binary);
    const auto middle = static_cast<std::streamoff>(fs::file_size(entry.path()) / 2);
    file.seekp(middle);
    file << "damage!!";
    file.close();
    const std::string text = error_text([&] {
      const auto source = open_leveldb_source(folder_ / "copy", {});
      Record record;
      for (uint64_t i = 0; i < source->size(); ++i) source->read(i, record);
    });
    expect_contains(text, {folder_ / "copy"});
  }
}

TEST_F(LevelDb, WriterOverwritesNothingAndLeavesNothingBehind) {
  write("level", test::raw_records(1, 1, 2, 2));
  expect_contains(error_text([&] { make_record_writer("leveldb", folder_ / "level"); }), {"exists already"});
  { make_record_writer("leveldb", folder_ / "part")->put("a", "b"); }
  for (const auto& entry : fs::directory_iterator(folder_ / "")) EXPECT_EQ(entry.path().filename(), "level");
}

}  // namespace
}  // namespace trainer
