// All keys of a database in order: maps record numbers to keys, for reading a shuffled epoch.
//
// Built by one walk over the keys. A long walk is cached in a file outside the database.
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

  // Writes the index for the database state `identity`; returns false if the file cannot be written.
  bool save(const std::string& file, const std::string& identity) const;
  // Returns nothing if the file does not exist, belongs to another state of the database or is damaged.
  static std::optional<KeyIndex> load(const std::string& file, const std::string& identity);

  // keys-<hash of path> in user_cache_folder(); "" without one. Does not create the folder.
  static std::string cache_file(const std::string& database_path);

 private:
  std::string keys_;
  std::vector<uint64_t> ends_;  // end of each key in keys_
};

// The index of the database at `path` in the state `identity`, from its cache file or by a walk. `next` gives one key
// per call and returns false at the end. A long walk logs its progress and is cached. `expected` is the number of keys;
// 0 if it is unknown before the walk.
KeyIndex gather_keys(const std::string& path, const std::string& identity, uint64_t expected,
                     const std::function<bool(std::string_view&)>& next, const LogLine& log);

}  // namespace trainer
