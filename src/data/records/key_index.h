// All keys of a database in order: turns record numbers into keys, so that a shuffled epoch can be read.
//
// Built by one walk over the keys; kept in a cache file outside the database where the walk was long.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/batch_feed.h"

namespace trainer {

class KeyIndex {
 public:
  void add(std::string_view key);
  uint64_t size() const { return ends_.size(); }
  std::string_view key(uint64_t index) const;
  int64_t memory_bytes() const;

  // Writes the index for the database state named by `identity`; false where the file cannot be written.
  bool save(const std::string& file, const std::string& identity) const;
  // Nothing where there is no such file, where it belongs to another state of the database, or where it is
  // damaged.
  static std::optional<KeyIndex> load(const std::string& file, const std::string& identity);

  // $XDG_CACHE_HOME/trainer/keys-<hash of path>, or below ~/.cache; "" where there is no home. Does not make
  // the folder.
  static std::string cache_file(const std::string& database_path);

 private:
  std::string keys_;
  std::vector<uint64_t> ends_;  // end of each key in keys_
};

// The index of the database at `path` in the state `identity`: from its cache file, or by a walk in which
// `next` gives key after key and is false at the end. A long walk logs its progress and is cached. `expected`
// is the number of keys, 0 where only the walk can tell.
KeyIndex gather_keys(const std::string& path, const std::string& identity, uint64_t expected,
                     const std::function<bool(std::string_view&)>& next, const LogLine& log);

}  // namespace trainer
