// LMDB databases opened for reading, each once per process: LMDB's file locks do not survive a second opening of the
// same database by the same process.
//
// The library holds the lock and a read transaction, so that no writer changes the pages during reading. LmdbTree reads
// the pages, so that a damaged file causes an error and no crash; the map survives a file that is truncated during
// reading.
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
  // `path`: the folder that holds data.mdb, or the file itself. Read-only; works on read-only file systems. Throws
  // data_error: missing (and what is there), not LMDB, locked or unreadable, truncated, empty.
  static std::shared_ptr<LmdbEnvironment> open(const std::string& path);
  ~LmdbEnvironment();
  LmdbEnvironment(const LmdbEnvironment&) = delete;
  LmdbEnvironment& operator=(const LmdbEnvironment&) = delete;

  const std::string& path() const { return path_; }  // absolute
  const LmdbTree& tree() const { return *tree_; }
  int64_t size() const { return static_cast<int64_t>(file_->size()); }  // bytes of the file
  // See MappedFile.
  void expect_random_access() { file_->expect_random_access(); }
  // Identifies a state of the database: path, file size, modification time, transaction, entries.
  std::string identity() const;
  // Throws data_error if the file was truncated since it was opened or could not be read: bytes read from the tree
  // since then may be zeros. Call after using bytes, from any thread.
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
