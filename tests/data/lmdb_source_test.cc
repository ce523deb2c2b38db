// Reads records by number, and the cached key index.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iterator>

#include "data/records/key_index.h"
#include "data/records/lmdb_source.h"
#include "data/small_data.h"

namespace trainer {
namespace {

std::string value_at(LmdbSource& source, uint64_t index) {
  Record record;
  source.read(index, record);
  EXPECT_EQ(record.index, index);
  return std::string(record.value);
}

TEST(LmdbSource, ReadsAnyNumberWithAndWithoutTheKeyIndex) {
  test::TemporaryFolder folder;
  // Keys are in the order of their bytes, for any length.
  test::write_lmdb(folder / "db", {{"b", "2"}, {"a", "0"}, {"a/b c.jpg", "1"}, {std::string("z\0q", 3), "3"}});
  LmdbSource source(folder / "db"), second(folder / "db");
  ASSERT_EQ(source.size(), 4u);
  for (uint64_t index : {2u, 0u, 1u, 1u, 3u, 0u}) EXPECT_EQ(value_at(source, index), std::to_string(index));
  second.prepare_random_access({});
  for (uint64_t index : {3u, 1u, 2u, 0u, 0u, 3u}) EXPECT_EQ(value_at(second, index), std::to_string(index));
  Record record, following;
  source.read(3, record);
  EXPECT_EQ(describe(record, "DB"), "record 3 (key \"z\\x00q\") of DB");
  source.read_following(record, following);
  EXPECT_EQ(following.index, 0u);
  EXPECT_EQ(following.value, "0");
  EXPECT_EQ(value_at(source, 3), "3");
}

TEST(LmdbSource, ReadsAFileOutsideAFolderAndWithoutPermissionToLock) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", {{"a", "0"}});
  std::filesystem::remove(folder / "db/lock.mdb");
  std::filesystem::copy_file(folder / "db/data.mdb", folder / "single.mdb");
  std::filesystem::permissions(folder / "db", std::filesystem::perms::owner_read | std::filesystem::perms::owner_exec);
  {
    LmdbSource source(folder / "db");
    EXPECT_EQ(value_at(source, 0), "0");
    LmdbSource single(folder / "single.mdb");
    EXPECT_EQ(value_at(single, 0), "0");
  }
  std::filesystem::permissions(folder / "db", std::filesystem::perms::owner_all);
}

TEST(LmdbSource, ContentTellsDatabasesApart) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "small", {{"a\n", "0"}});
  test::write_lmdb(folder / "large", test::raw_records(2345, 1, 4, 4));
  EXPECT_EQ(LmdbSource(folder / "small").content(), "1 records from \"a\\x0a\" to \"a\\x0a\"");
  LmdbSource source(folder / "large");
  EXPECT_EQ(value_at(source, 1), test::raw_datum(1, 1, 4, 4, 1));
  EXPECT_EQ(source.content(), "2,345 records from \"00000000\" to \"00002344\"");
  EXPECT_EQ(value_at(source, 2), test::raw_datum(2, 1, 4, 4, 2));
}

// Several levels of pages, values within pages and on overflow pages, keys of many lengths: all records equal those
// that the library reads.
TEST(LmdbTree, ReadsWhatTheLibraryReads) {
  test::TemporaryFolder folder;
  test::Records records;
  for (int i = 0; i < 5000; ++i) {
    const std::string key = std::to_string(i * 7919 % 100003) + std::string(static_cast<size_t>(i % 40), 'k');
    const size_t size = i % 100 == 0 ? 9000 : static_cast<size_t>(i * 31 % 300);
    records.emplace_back(key, std::string(size, static_cast<char>(i)));
  }
  test::write_lmdb(folder / "db", records);
  std::sort(records.begin(), records.end());
  LmdbSource source(folder / "db"), by_key(folder / "db");
  ASSERT_EQ(source.size(), records.size());
  by_key.prepare_random_access({});
  Record record;
  for (size_t i = 0; i < records.size(); ++i) {
    source.read(i, record);
    ASSERT_EQ(record.key, records[i].first);
    ASSERT_EQ(record.value, records[i].second);
    const size_t other = i * 2711 % records.size();
    by_key.read(other, record);
    ASSERT_EQ(record.key, records[other].first);
    ASSERT_EQ(record.value, records[other].second);
  }
}

// Overwrites the header of each large value's first page that `damage` selects by record.
void damage_large_values(const std::string& file, const std::function<bool(int)>& damage) {
  std::fstream data(file, std::ios::in | std::ios::out | std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(data)), std::istreambuf_iterator<char>());
  int found = 0;
  for (size_t page = 0; page + 4096 <= bytes.size(); page += 4096) {
    uint16_t flags = 0;
    uint32_t pages = 0;
    std::memcpy(&flags, bytes.data() + page + 10, sizeof flags);
    std::memcpy(&pages, bytes.data() + page + 12, sizeof pages);
    if (flags != 4) continue;  // overflow
    const std::string value = bytes.substr(page + 16, pages * 4096 - 16);
    const int record = std::stoi(value.substr(0, 8));
    if (damage(record)) {
      data.seekp(static_cast<std::streamoff>(page + 10));
      data.put(0);
      ++found;
    }
    page += (pages - 1) * 4096;
  }
  EXPECT_GT(found, 0);
}

// Records of others are stepped over: damage in their values is never seen.
TEST(LmdbSource, ReadsNoValuesOfOtherRecords) {
  test::TemporaryFolder folder;
  test::Records records;
  for (int i = 0; i < 400; ++i) records.emplace_back(test::key(i), test::key(i) + std::string(9000, 'x'));
  test::write_lmdb(folder / "db", records);
  damage_large_values(folder / "db/data.mdb", [](int record) { return record % 4 != 1; });
  for (const bool random : {false, true}) {
    LmdbSource source(folder / "db");
    source.prepare_sparse_access();
    if (random) source.prepare_random_access({});
    for (uint64_t i = 0; i < 100; ++i) {
      const uint64_t index = (random ? i * 37 % 100 : i) * 4 + 1;
      ASSERT_EQ(value_at(source, index), records[index].second);
    }
    test::expect_contains(test::error_text([&] { value_at(source, 2); }), {"is damaged: a large record"});
    EXPECT_EQ(value_at(source, 5), records[5].second);
  }
}

TEST(LmdbTree, AStateLeftByDeletionsAndSeveralTransactions) {
  test::TemporaryFolder folder;
  test::write_lmdb(folder / "db", test::raw_records(300, 1, 10, 10));
  MDB_env* env = nullptr;
  ASSERT_EQ(mdb_env_create(&env), 0);
  ASSERT_EQ(mdb_env_open(env, (folder / "db").c_str(), 0, 0664), 0);
  for (int i = 0; i < 300; i += 3) {
    MDB_txn* txn = nullptr;
    MDB_dbi dbi = 0;
    ASSERT_EQ(mdb_txn_begin(env, nullptr, 0, &txn), 0);
    ASSERT_EQ(mdb_dbi_open(txn, nullptr, 0, &dbi), 0);
    std::string name = test::key(i);
    MDB_val key{name.size(), name.data()};
    ASSERT_EQ(mdb_del(txn, dbi, &key, nullptr), 0);
    ASSERT_EQ(mdb_txn_commit(txn), 0);
  }
  mdb_env_close(env);
  LmdbSource source(folder / "db");
  ASSERT_EQ(source.size(), 200u);
  Record record;
  for (int i = 0; i < 200; ++i) {
    source.read(static_cast<uint64_t>(i), record);
    EXPECT_EQ(record.key, test::key(i / 2 * 3 + 1 + i % 2));
  }
}

TEST(KeyIndex, IsKeptForOneStateOfADatabaseOnly) {
  test::TemporaryFolder folder;
  KeyIndex index;
  for (const char* key : {"one", "", "three"}) index.add(key);
  const std::string file = folder / "cache/trainer/keys";
  ASSERT_TRUE(index.save(file, "state 1"));
  const auto loaded = KeyIndex::load(file, "state 1");
  ASSERT_TRUE(loaded);
  ASSERT_EQ(loaded->size(), 3u);
  EXPECT_EQ(loaded->key(0), "one");
  EXPECT_EQ(loaded->key(1), "");
  EXPECT_EQ(loaded->key(2), "three");
  EXPECT_FALSE(KeyIndex::load(file, "state 2"));
  EXPECT_FALSE(KeyIndex::load(folder / "none", "state 1"));
  // Any damage is detected.
  std::ifstream in(file, std::ios::binary);
  const std::string content((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  for (size_t at = 0; at < content.size(); ++at) {
    std::string damaged = content;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    std::ofstream(folder / "damaged", std::ios::binary) << damaged;
    EXPECT_FALSE(KeyIndex::load(folder / "damaged", "state 1")) << at;
    std::ofstream(folder / "damaged", std::ios::binary) << content.substr(0, at);
    EXPECT_FALSE(KeyIndex::load(folder / "damaged", "state 1")) << at;
  }
  // A file that cannot be written is no error.
  std::ofstream(folder / "blocked") << "a file";
  EXPECT_FALSE(index.save(folder / "blocked/trainer/keys", "state 1"));
}

TEST(KeyIndex, CacheFollowsTheUsersSettings) {
  const char* before = std::getenv("XDG_CACHE_HOME");
  const std::string kept = before == nullptr ? "" : before;
  setenv("XDG_CACHE_HOME", "/somewhere", 1);
  EXPECT_EQ(KeyIndex::cache_file("/data/db").rfind("/somewhere/trainer/keys-", 0), 0u);
  EXPECT_NE(KeyIndex::cache_file("/data/db"), KeyIndex::cache_file("/data/db2"));
  if (before == nullptr) {
    unsetenv("XDG_CACHE_HOME");
  } else {
    setenv("XDG_CACHE_HOME", kept.c_str(), 1);
  }
}

}  // namespace
}  // namespace trainer
