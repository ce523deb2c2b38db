// Writes a new LMDB database that appears whole or not at all: made in a folder beside the target, then
// renamed.
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainer {

class LmdbWriter {
 public:
  // Records in one transaction, as Caffe's tools commit.
  static constexpr size_t kRecordsPerCommit = 1000;

  // Throws data_error where something is at `target` already or the folder cannot be made there. `map_bytes`
  // is the first size of the map; it doubles as needed.
  explicit LmdbWriter(const std::string& target, size_t map_bytes = size_t{64} << 20);
  // Without finish() nothing stays behind.
  ~LmdbWriter();
  LmdbWriter(const LmdbWriter&) = delete;
  LmdbWriter& operator=(const LmdbWriter&) = delete;

  void put(std::string_view key, std::string_view value);
  // Commits the rest, flushes everything to the disk and puts the database in its place.
  void finish();

 private:
  void commit();
  int try_commit();
  void close();

  std::string target_;
  std::string folder_;
  MDB_env* env_ = nullptr;
  size_t map_bytes_;
  // Not yet committed, so that they can be put again into a larger map.
  std::vector<std::pair<std::string, std::string>> pending_;
};

}  // namespace trainer
