// LevelDB's view of the file system for a database that is only read. Files that the library writes when it opens a
// database (a manifest, a log, tables from the log of an interrupted writer) stay in memory. The files on the disk are
// never changed, removed or locked.
#pragma once

#include <leveldb/env.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace trainer {

class ReadOnlyEnv : public leveldb::EnvWrapper {
 public:
  ReadOnlyEnv() : leveldb::EnvWrapper(leveldb::Env::Default()) {}

  // Forbids further writes: compactions, which would fill the memory, then end with an error that reading does not see.
  void freeze();

  leveldb::Status NewSequentialFile(const std::string& name, leveldb::SequentialFile** result) override;
  leveldb::Status NewRandomAccessFile(const std::string& name, leveldb::RandomAccessFile** result) override;
  leveldb::Status NewWritableFile(const std::string& name, leveldb::WritableFile** result) override;
  leveldb::Status NewAppendableFile(const std::string& name, leveldb::WritableFile** result) override;
  bool FileExists(const std::string& name) override;
  leveldb::Status GetChildren(const std::string& folder, std::vector<std::string>* names) override;
  leveldb::Status RemoveFile(const std::string& name) override;
  leveldb::Status CreateDir(const std::string&) override { return leveldb::Status::OK(); }
  leveldb::Status RemoveDir(const std::string&) override { return leveldb::Status::OK(); }
  leveldb::Status GetFileSize(const std::string& name, uint64_t* size) override;
  leveldb::Status RenameFile(const std::string& from, const std::string& to) override;
  leveldb::Status LockFile(const std::string& name, leveldb::FileLock** lock) override;
  leveldb::Status UnlockFile(leveldb::FileLock* lock) override;
  leveldb::Status NewLogger(const std::string& name, leveldb::Logger** result) override;

 private:
  using Bytes = std::shared_ptr<std::string>;
  Bytes find(const std::string& name);

  std::mutex mutex_;
  std::map<std::string, Bytes> files_;  // written in memory; guarded by mutex_
  bool frozen_ = false;                 // guarded by mutex_
};

}  // namespace trainer
