// Records by number: a database of serialised Datum records in key order, a list of pictures, rows of a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "data/batch_feed.h"

namespace trainer {

// The views are good as long as the source, or point into the record's own storage where the database cannot
// promise that.
struct Record {
  uint64_t index = 0;  // place in key order
  std::string_view key;
  std::string_view value;
  std::string storage;
};

// Calls come from one thread at a time. Errors are data_error and name the database.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  virtual const std::string& path() const = 0;  // absolute
  virtual uint64_t size() const = 0;            // at least 1
  // Reads by record number. Ascending numbers are cheap; others need prepare_random_access() to be.
  virtual void read(uint64_t index, Record& record) = 0;
  // Reads the neighbour of `record` in key order, the first record after the last; leaves the place of read()
  // alone.
  virtual void read_following(const Record& record, Record& following) = 0;
  // Throws where what records held may not be what the database holds, which was cut short in between. To be
  // asked after a record was used, well or not; from any thread.
  virtual void check_intact() const {}
  // Makes read() cheap for any order of numbers.
  virtual void prepare_random_access(const LogLine& log) = 0;
  // As BatchFeed::content(). Leaves the place of read() alone.
  virtual std::string content() = 0;
  // Bytes that the source keeps for itself.
  virtual int64_t memory_bytes() const { return 0; }
  // Where a record comes from, for messages. From any thread.
  virtual std::string describe(const Record& record) const;
};

// `record 7 (key "00000007") of /data/train_lmdb`; bytes of the key that are not printable are shown as \xNN.
std::string describe(const Record& record, const std::string& path);

// `2,000 records from "00000000" to "00001999"`.
std::string content_text(uint64_t records, std::string_view first, std::string_view last);

}  // namespace trainer
