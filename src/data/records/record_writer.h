// A new database of records, of either kind, that appears complete or not at all.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace trainer {

class RecordWriter {
 public:
  // Records per transaction; Caffe's tools commit as many.
  static constexpr size_t kRecordsPerCommit = 1000;

  // Leaves no files unless finish() was called.
  virtual ~RecordWriter() = default;
  virtual void put(std::string_view key, std::string_view value) = 0;
  // Writes the rest, flushes everything to the disk and renames the database to its target.
  virtual void finish() = 0;
};

// `backend` is "lmdb" or "leveldb", as in the flags of Caffe's tools; any other value is a config_error. Throws
// data_error if `target` exists.
std::unique_ptr<RecordWriter> make_record_writer(const std::string& backend, const std::string& target);

}  // namespace trainer
