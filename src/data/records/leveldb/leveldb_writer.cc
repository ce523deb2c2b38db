// Writes a new LevelDB database in batches; the last batch is synced to the disk.
#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#include "base/error.h"
#include "data/records/database_folder.h"
#include "data/records/leveldb.h"

namespace trainer {

namespace {

class LevelDbWriter : public RecordWriter {
 public:
  explicit LevelDbWriter(const std::string& target) : folder_(target) {
    // The options with which Caffe's tools open one for writing.
    leveldb::Options options;
    options.create_if_missing = true;
    options.write_buffer_size = size_t{64} << 20;
    options.max_open_files = 100;
    leveldb::DB* database = nullptr;
    check(leveldb::DB::Open(options, folder_.folder(), &database));
    database_.reset(database);
  }

  void put(std::string_view key, std::string_view value) override {
    batch_.Put({key.data(), key.size()}, {value.data(), value.size()});
    if (++pending_ == kRecordsPerCommit) commit(false);
  }

  void finish() override {
    commit(true);
    // Moves the records out of the log: a reader takes a damaged end of a log for records that were never written.
    database_->CompactRange(nullptr, nullptr);
    database_.reset();
    folder_.commit();
  }

 private:
  void commit(bool sync) {
    leveldb::WriteOptions options;
    options.sync = sync;
    check(database_->Write(options, &batch_));
    batch_.Clear();
    pending_ = 0;
  }
  void check(const leveldb::Status& status) const {
    if (!status.ok()) throw data_error("cannot write {}: {}", folder_.target(), status.ToString());
  }

  NewDatabaseFolder folder_;  // outlives the database
  std::unique_ptr<leveldb::DB> database_;
  leveldb::WriteBatch batch_;
  size_t pending_ = 0;
};

}  // namespace

std::unique_ptr<RecordWriter> make_leveldb_writer(const std::string& target) {
  return std::make_unique<LevelDbWriter>(target);
}

}  // namespace trainer
