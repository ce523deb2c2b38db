// Writes a new LMDB database that appears complete or not at all.
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/records/database_folder.h"
#include "data/records/record_writer.h"

namespace trainer {

class LmdbWriter : public RecordWriter {
 public:
  // Throws data_error if `target` exists or the folder cannot be created. `map_bytes` is the initial size of the map;
  // it doubles as needed.
  explicit LmdbWriter(const std::string& target, size_t map_bytes = size_t{64} << 20);
  // Leaves no files unless finish() was called.
  ~LmdbWriter() override;
  LmdbWriter(const LmdbWriter&) = delete;
  LmdbWriter& operator=(const LmdbWriter&) = delete;

  void put(std::string_view key, std::string_view value) override;
  void finish() override;

 private:
  void commit();
  int try_commit();
  [[noreturn]] void fail(int result) const;
  void close();

  NewDatabaseFolder folder_;
  MDB_env* env_ = nullptr;
  size_t map_bytes_;
  // Not yet committed; written again after the map grows.
  std::vector<std::pair<std::string, std::string>> pending_;
};

}  // namespace trainer
