// Reads records of an LMDB database without a copy.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "data/records/key_index.h"
#include "data/records/lmdb_environment.h"
#include "data/records/record_source.h"

namespace trainer {

class LmdbSource : public RecordSource {
 public:
  // Also reads the names of the classes, if the folder has them.
  explicit LmdbSource(const std::string& path);

  const std::string& path() const override { return environment_->path(); }
  uint64_t size() const override { return environment_->tree().entries(); }
  void read(uint64_t index, Record& record) override;
  void read_following(const Record& record, Record& following) override;
  std::vector<std::string> class_names() const override { return class_names_; }
  std::string content() override;
  void check_intact() const override { environment_->check_intact(); }
  void prepare_random_access(const LogLine& log) override;
  void prepare_sparse_access() override;

 private:
  std::shared_ptr<LmdbEnvironment> environment_;
  LmdbCursor cursor_;
  LmdbCursor neighbour_cursor_;
  std::optional<uint64_t> at_;  // record under cursor_
  std::optional<KeyIndex> keys_;
  bool prefetches_ = false;  // records: the system does not read ahead
  std::vector<std::string> class_names_;
};

}  // namespace trainer
