// Files in memory that shadow files on the disk.
#include "data/records/leveldb/read_only_env.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "formats/mapped_file.h"

namespace trainer {

using leveldb::Slice;
using leveldb::Status;

namespace {

using Bytes = std::shared_ptr<std::string>;

class MemoryFile : public leveldb::WritableFile {
 public:
  explicit MemoryFile(Bytes bytes) : bytes_(std::move(bytes)) {}
  Status Append(const Slice& data) override {
    bytes_->append(data.data(), data.size());
    return Status::OK();
  }
  Status Close() override { return Status::OK(); }
  Status Flush() override { return Status::OK(); }
  Status Sync() override { return Status::OK(); }

 private:
  Bytes bytes_;
};

class MemoryReader : public leveldb::SequentialFile {
 public:
  explicit MemoryReader(Bytes bytes) : bytes_(std::move(bytes)) {}
  Status Read(size_t count, Slice* result, char* scratch) override {
    const size_t given = std::min(count, bytes_->size() - at_);
    std::memcpy(scratch, bytes_->data() + at_, given);
    at_ += given;
    *result = Slice(scratch, given);
    return Status::OK();
  }
  Status Skip(uint64_t count) override {
    at_ += static_cast<size_t>(std::min<uint64_t>(count, bytes_->size() - at_));
    return Status::OK();
  }

 private:
  Bytes bytes_;
  size_t at_ = 0;
};

class MemoryPlaces : public leveldb::RandomAccessFile {
 public:
  explicit MemoryPlaces(Bytes bytes) : bytes_(std::move(bytes)) {}
  Status Read(uint64_t offset, size_t count, Slice* result, char* scratch) const override {
    if (offset > bytes_->size()) return Status::IOError("read past the end");
    const size_t given = std::min(count, bytes_->size() - static_cast<size_t>(offset));
    std::memcpy(scratch, bytes_->data() + offset, given);
    *result = Slice(scratch, given);
    return Status::OK();
  }

 private:
  Bytes bytes_;
};

// LevelDB's own mmap crashes if a file is truncated during reading.
class MappedPlaces : public leveldb::RandomAccessFile {
 public:
  MappedPlaces(std::string name, std::unique_ptr<MappedFile> file) : name_(std::move(name)), file_(std::move(file)) {}
  Status Read(uint64_t offset, size_t count, Slice* result, char* scratch) const override {
    if (offset > file_->size()) return Status::IOError(name_, "read past the end");
    const size_t given = std::min(count, static_cast<size_t>(file_->size() - offset));
    std::memcpy(scratch, file_->bytes() + offset, given);
    *result = Slice(scratch, given);
    return file_->failed() ? Status::IOError(name_, "it was truncated while it was read, or its disk gave an error")
                           : Status::OK();
  }

 private:
  std::string name_;
  std::unique_ptr<MappedFile> file_;
};

class NoLock : public leveldb::FileLock {};

class SilentLogger : public leveldb::Logger {
 public:
  void Logv(const char*, std::va_list) override {}
};

}  // namespace

void ReadOnlyEnv::freeze() {
  std::lock_guard<std::mutex> lock(mutex_);
  frozen_ = true;
}

ReadOnlyEnv::Bytes ReadOnlyEnv::find(const std::string& name) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = files_.find(name);
  return found == files_.end() ? nullptr : found->second;
}

Status ReadOnlyEnv::NewSequentialFile(const std::string& name, leveldb::SequentialFile** result) {
  const Bytes bytes = find(name);
  if (bytes == nullptr) return target()->NewSequentialFile(name, result);
  *result = new MemoryReader(bytes);
  return Status::OK();
}

Status ReadOnlyEnv::NewRandomAccessFile(const std::string& name, leveldb::RandomAccessFile** result) {
  const Bytes bytes = find(name);
  if (bytes != nullptr) {
    *result = new MemoryPlaces(bytes);
    return Status::OK();
  }
  const int descriptor = ::open(name.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  std::unique_ptr<MappedFile> file;
  if (descriptor >= 0 && ::fstat(descriptor, &status) == 0 && status.st_size > 0)
    file = MappedFile::map(descriptor, static_cast<uint64_t>(status.st_size));
  if (descriptor >= 0) ::close(descriptor);
  // Handles an empty file, and reports errors as LevelDB does.
  if (!file) return target()->NewRandomAccessFile(name, result);
  *result = new MappedPlaces(name, std::move(file));
  return Status::OK();
}

Status ReadOnlyEnv::NewWritableFile(const std::string& name, leveldb::WritableFile** result) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (frozen_) return Status::IOError(name, "the database is only read");
  const auto bytes = std::make_shared<std::string>();
  files_[name] = bytes;
  *result = new MemoryFile(bytes);
  return Status::OK();
}

// LevelDB never appends to a log or manifest, because options.reuse_logs is off.
Status ReadOnlyEnv::NewAppendableFile(const std::string& name, leveldb::WritableFile**) {
  return Status::NotSupported(name, "the database is only read");
}

bool ReadOnlyEnv::FileExists(const std::string& name) { return find(name) != nullptr || target()->FileExists(name); }

Status ReadOnlyEnv::GetChildren(const std::string& folder, std::vector<std::string>* names) {
  const Status status = target()->GetChildren(folder, names);
  std::lock_guard<std::mutex> lock(mutex_);
  for (const auto& [name, bytes] : files_) {
    if (name.compare(0, folder.size() + 1, folder + "/") == 0) names->push_back(name.substr(folder.size() + 1));
  }
  return status;
}

Status ReadOnlyEnv::RemoveFile(const std::string& name) {
  std::lock_guard<std::mutex> lock(mutex_);
  files_.erase(name);
  return Status::OK();
}

Status ReadOnlyEnv::GetFileSize(const std::string& name, uint64_t* size) {
  const Bytes bytes = find(name);
  if (bytes == nullptr) return target()->GetFileSize(name, size);
  *size = bytes->size();
  return Status::OK();
}

Status ReadOnlyEnv::RenameFile(const std::string& from, const std::string& to) {
  std::lock_guard<std::mutex> lock(mutex_);
  const auto found = files_.find(from);
  if (found == files_.end()) return Status::OK();  // a file on the disk keeps its name
  files_[to] = found->second;
  files_.erase(from);
  return Status::OK();
}

Status ReadOnlyEnv::LockFile(const std::string&, leveldb::FileLock** lock) {
  *lock = new NoLock;
  return Status::OK();
}

Status ReadOnlyEnv::UnlockFile(leveldb::FileLock* lock) {
  delete lock;
  return Status::OK();
}

Status ReadOnlyEnv::NewLogger(const std::string&, leveldb::Logger** result) {
  *result = new SilentLogger;
  return Status::OK();
}

}  // namespace trainer
