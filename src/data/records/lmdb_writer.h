// Writes a new LMDB database that appears complete or not at all.
#pragma once

#include <string>
#include <string_view>

#include "data/records/database_folder.h"
#include "data/records/lmdb_appender.h"
#include "data/records/record_writer.h"

namespace trainer {

class LmdbWriter : public RecordWriter {
 public:
  // Throws data_error if `target` exists or the folder cannot be created. `map_bytes`: see LmdbAppender.
  explicit LmdbWriter(const std::string& target, size_t map_bytes = size_t{64} << 20)
      // An interruption before finish() leaves no database anyway.
      : folder_(target), records_(folder_.folder(), folder_.target(), LmdbAppender::Flush::kNever, map_bytes) {}

  void put(std::string_view key, std::string_view value) override {
    records_.put(key, value);
    if (records_.pending() == kRecordsPerCommit) records_.commit();
  }
  void finish() override {
    records_.finish();
    folder_.commit();
  }

 private:
  NewDatabaseFolder folder_;
  LmdbAppender records_;
};

}  // namespace trainer
