// LMDB databases opened for reading, each once per process: LMDB's file locks do not survive a second opening
// of the same database by the same process.
//
// The library holds the lock and a read transaction, so that no writer touches the pages that are read; the
// pages themselves are read through LmdbTree, which no damaged file can hurt, from a map that a file cut
// short in between does not hurt either.
#pragma once

#include <lmdb.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "data/records/lmdb_tree.h"
#include "formats/mapped_file.h"

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
  // Throws data_error where the file was cut short since it was opened, or could not be read: what came from
  // the tree since then may be zeros. To be asked after bytes were used, from any thread.
  void check_intact() const;

 private:
  explicit LmdbEnvironment(std::string path) : path_(std::move(path)) {}
  void map_file();
  void lock();

  std::string path_;
  std::string data_file_;
  MDB_env* env_ = nullptr;
  MDB_txn* transaction_ = nullptr;
  int descriptor_ = -1;
  std::unique_ptr<MappedFile> file_;
  int64_t changed_ns_ = 0;
  std::optional<LmdbTree> tree_;
};

}  // namespace trainer
