// Reads records of a LevelDB database. Sequential reading moves one iterator; any other order uses the keys, which are
// all in memory because only a walk over them counts the records.
#include <fcntl.h>
#include <leveldb/db.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "data/records/database_folder.h"
#include "data/records/key_index.h"
#include "data/records/leveldb.h"
#include "data/records/leveldb/read_only_env.h"

namespace trainer {

namespace fs = std::filesystem;

namespace {

// The process that holds LevelDB's lock of the database, or 0.
pid_t holder_of(const std::string& path) {
  const int descriptor = ::open((path + "/LOCK").c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return 0;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool known = ::fcntl(descriptor, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  ::close(descriptor);
  return known ? lock.l_pid : 0;
}

// Identifies a state of the database: names, sizes and modification times of its files.
std::string identity_of(const std::string& path) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    struct stat file {};
    const std::string name = it->path().filename().string();
    if (name == "LOCK" || name.compare(0, 3, "LOG") == 0 || ::stat(it->path().c_str(), &file) != 0) continue;
    files.push_back(fmt::format("{} {} {}.{}", name, static_cast<int64_t>(file.st_size), file.st_mtim.tv_sec,
                                file.st_mtim.tv_nsec));
  }
  std::sort(files.begin(), files.end());
  return fmt::format("{}\n{}", path, fmt::join(files, "\n"));
}

class LevelDbSource : public RecordSource {
 public:
  LevelDbSource(const std::string& path, const LogLine& log) : path_(absolute_path(path)) {
    check_folder();
    leveldb::Options options;
    options.env = &env_;
    options.create_if_missing = false;
    options.paranoid_checks = true;
    leveldb::DB* database = nullptr;
    const leveldb::Status status = leveldb::DB::Open(options, path_, &database);
    if (!status.ok()) fail(status);
    database_.reset(database);
    env_.freeze();
    at_ = iterator();
    neighbour_ = iterator();
    at_->SeekToFirst();
    bool first = true;
    keys_ = gather_keys(
        path_, identity_of(path_), 0,
        [&](std::string_view& key) {
          if (!std::exchange(first, false)) at_->Next();
          if (!at_->Valid()) {
            check(*at_);
            return false;
          }
          key = view(at_->key());
          return true;
        },
        log);
    if (keys_.size() == 0) {
      throw data_error("{} is an empty database: it has no records. Perhaps its creation was interrupted; {}", path_,
                       database_remedy("NEW_FOLDER"));
    }
  }

  const std::string& path() const override { return path_; }
  uint64_t size() const override { return keys_.size(); }
  std::string content() override { return content_text(size(), keys_.key(0), keys_.key(size() - 1)); }
  int64_t memory_bytes() const override { return keys_.memory_bytes(); }

  void read(uint64_t index, Record& record) override {
    TRAINER_ASSERT(index < size());
    const std::optional<uint64_t> from = std::exchange(index_, std::nullopt);  // until the move has succeeded
    if (from && *from + 1 == index) {
      at_->Next();
    } else if (!from || *from != index) {
      at_->Seek(slice(keys_.key(index)));
    }
    give(index, *at_, record);
    index_ = index;
  }

  void read_following(const Record& record, Record& following) override {
    const uint64_t index = (record.index + 1) % size();
    neighbour_->Seek(slice(keys_.key(index)));
    give(index, *neighbour_, following);
  }

 private:
  static std::string_view view(const leveldb::Slice& slice) { return {slice.data(), slice.size()}; }
  static leveldb::Slice slice(std::string_view view) { return {view.data(), view.size()}; }

  void check_folder() const {
    std::error_code error;
    if (!fs::exists(path_, error)) throw_missing_database(path_);
    if (!fs::is_directory(path_, error)) {
      throw data_error("{} is a file: a LevelDB database is a folder. {}", path_, database_remedy("NEW_FOLDER"));
    }
    // A folder without permission to list it has no files either.
    fs::directory_iterator it(path_, error);
    if (error) {
      throw data_error("{} cannot be read: {}. Its owner can allow it with `chmod -R a+rX {}`", path_, error.message(),
                       path_);
    }
    if (database_kind(path_) != DatabaseKind::kLevelDb) throw_other_database(path_, DatabaseKind::kLevelDb);
    if (const pid_t holder = holder_of(path_); holder != 0) {
      throw data_error(
          "{} is open in process {}, which may be writing to it: wait until that ends, or read a copy (cp "
          "-r)",
          path_, holder);
    }
  }

  std::unique_ptr<leveldb::Iterator> iterator() const {
    leveldb::ReadOptions options;
    options.verify_checksums = true;
    options.fill_cache = false;
    return std::unique_ptr<leveldb::Iterator>(database_->NewIterator(options));
  }

  void check(const leveldb::Iterator& iterator) const {
    if (!iterator.status().ok()) fail(iterator.status());
  }

  [[noreturn]] void fail(const leveldb::Status& status) const {
    if (status.IsCorruption()) {
      throw data_error("the LevelDB database {} is damaged: {}. Copy it again from where it came, or make it again",
                       path_, status.ToString());
    }
    throw data_error("the LevelDB database {} cannot be read: {}", path_, status.ToString());
  }

  void give(uint64_t index, const leveldb::Iterator& iterator, Record& record) const {
    check(iterator);
    if (!iterator.Valid() || view(iterator.key()) != keys_.key(index)) {
      throw data_error("the LevelDB database {} has lost its record {}: has it been changed while it was read?", path_,
                       index);
    }
    record.index = index;
    record.key = keys_.key(index);
    record.storage.assign(iterator.value().data(), iterator.value().size());
    record.value = record.storage;
  }

  std::string path_;
  ReadOnlyEnv env_;  // outlives the database
  std::unique_ptr<leveldb::DB> database_;
  std::unique_ptr<leveldb::Iterator> at_;
  std::unique_ptr<leveldb::Iterator> neighbour_;
  std::optional<uint64_t> index_;  // record under at_
  KeyIndex keys_;
};

}  // namespace

std::unique_ptr<RecordSource> open_leveldb_source(const std::string& path, const LogLine& log) {
  return std::make_unique<LevelDbSource>(path, log);
}

}  // namespace trainer
