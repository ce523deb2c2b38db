// A new database of records, of either kind, that appears whole or not at all.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace trainer {

class RecordWriter {
 public:
  // Records in one transaction, as Caffe's tools commit.
  static constexpr size_t kRecordsPerCommit = 1000;

  // Without finish() nothing stays behind.
  virtual ~RecordWriter() = default;
  virtual void put(std::string_view key, std::string_view value) = 0;
  // Writes the rest, flushes everything to the disk and puts the database in its place.
  virtual void finish() = 0;
};

// `backend` is "lmdb" or "leveldb", as in the flags of Caffe's tools; another one is a config_error. Throws
// data_error where something is at `target` already.
std::unique_ptr<RecordWriter> make_record_writer(const std::string& backend, const std::string& target);

}  // namespace trainer
