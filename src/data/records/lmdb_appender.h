// Adds records to an LMDB database, in transactions.
#pragma once

#include <lmdb.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace trainer {

class LmdbAppender {
 public:
  enum class Flush { kNever, kEachCommit };

  // Opens or makes the database in `folder`, which exists. Errors name `shown`. `map_bytes` is the initial size of the
  // map; it doubles as needed.
  LmdbAppender(const std::string& folder, const std::string& shown, Flush flush, size_t map_bytes);
  // Drops the records since the last commit().
  ~LmdbAppender();
  LmdbAppender(const LmdbAppender&) = delete;
  LmdbAppender& operator=(const LmdbAppender&) = delete;

  // Replaces the record of the same key.
  void put(std::string_view key, std::string_view value);
  uint64_t entries() const;  // without the pending ones
  size_t pending() const { return pending_.size(); }
  // Makes the pending records part of the database.
  void commit();
  // Commits, flushes everything to the disk and closes the database.
  void finish();

 private:
  int try_commit();
  [[noreturn]] void fail(int result) const;
  void close();

  std::string folder_, shown_;
  MDB_env* env_ = nullptr;
  size_t map_bytes_;
  // Written again after the map grows.
  std::vector<std::pair<std::string, std::string>> pending_;
};

}  // namespace trainer
