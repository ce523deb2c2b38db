// LMDB databases opened for reading, each once per process: LMDB's file locks do not survive a second opening
// of the same database by the same process.
//
// The library holds the lock and a read transaction, so that no writer touches the pages that are read; the
// pages themselves are read through LmdbTree, which no damaged file can hurt.
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "data/lmdb_tree.h"

namespace trainer {

class LmdbEnvironment {
 public:
  // `path`: the folder that holds data.mdb, or the file itself. Read-only; works on read-only file systems.
  // Throws data_error: nothing there (and what is), no LMDB, locked or unreadable, cut short, empty.
  static std::shared_ptr<LmdbEnvironment> open(const std::string& path);
  ~LmdbEnvironment();
  LmdbEnvironment(const LmdbEnvironment&) = delete;
  LmdbEnvironment& operator=(const LmdbEnvironment&) = delete;

  const std::string& path() const { return path_; }  // absolute
  const LmdbTree& tree() const { return *tree_; }
  // Tells one state of the database from another: path, file size, time of change, transaction, entries.
  std::string identity() const;

 private:
  explicit LmdbEnvironment(std::string path) : path_(std::move(path)) {}
  void map_file();
  void lock();

  std::string path_;
  std::string data_file_;
  MDB_env* env_ = nullptr;
  MDB_txn* transaction_ = nullptr;
  const char* bytes_ = nullptr;
  uint64_t size_ = 0;
  int64_t changed_ns_ = 0;
  std::optional<LmdbTree> tree_;
};

}  // namespace trainer
