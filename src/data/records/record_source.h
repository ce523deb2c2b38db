// Records by number: a database of serialised Datum records in key order, a list of pictures, rows of a file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/sha256.h"
#include "data/batch_feed.h"

namespace trainer {

// The views are valid as long as the source, or point into the record's own storage if the database cannot guarantee
// that.
struct Record {
  uint64_t index = 0;  // position in key order
  std::string_view key;
  std::string_view value;
  std::string storage;
};

// One thread at a time calls it. Errors are data_error and name the database.
class RecordSource {
 public:
  virtual ~RecordSource() = default;
  virtual const std::string& path() const = 0;  // absolute
  virtual uint64_t size() const = 0;            // at least 1
  // Reads by record number. Ascending numbers are cheap; other orders are cheap after prepare_random_access().
  virtual void read(uint64_t index, Record& record) = 0;
  // Reads the next record after `record` in key order; after the last one, the first. Does not move the position of
  // read(): a source whose read() keeps a position overrides it.
  virtual void read_following(const Record& record, Record& following) { read((record.index + 1) % size(), following); }
  // Throws if the database was truncated during reading, so that records may hold wrong bytes. Call after using a
  // record, successfully or not, from any thread.
  virtual void check_intact() const {}
  // Makes read() cheap for any order of numbers.
  virtual void prepare_random_access(const LogLine&) {}
  // This process will read only some of the records, so that the bytes between them are best left alone.
  virtual void prepare_sparse_access() {}
  // As BatchFeed::class_names().
  virtual std::vector<std::string> class_names() const { return {}; }
  // As BatchFeed::content(). Does not move the position of read().
  virtual std::string content() = 0;
  // Bytes of memory that the source uses.
  virtual int64_t memory_bytes() const { return 0; }
  // The origin of a record, for messages. Thread-safe.
  virtual std::string describe(const Record& record) const;
};

// `record 7 (key "00000007") of /data/train_lmdb`; bytes of the key that are not printable appear as \xNN.
std::string describe(const Record& record, const std::string& path);

// `2,000 records from "00000000" to "00001999"`.
std::string content_text(uint64_t records, std::string_view first, std::string_view last);
// The content of a data set with a digest of its paths and labels at the end.
std::string with_digest(const std::string& content, const TextDigest& digest);

}  // namespace trainer
