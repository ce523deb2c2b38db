// Sequential reading moves one cursor; any other order uses the key index.
#include "data/records/lmdb_source.h"

#include <filesystem>

#include "base/cgroups.h"
#include "base/error.h"
#include "data/feeds/image_folder.h"
#include "data/records/database_folder.h"

namespace trainer {

namespace {

void give(uint64_t index, const LmdbCursor& cursor, Record& record) {
  record.index = index;
  record.key = cursor.key();
  record.value = cursor.value();
}

}  // namespace

LmdbSource::LmdbSource(const std::string& path)
    : environment_(LmdbEnvironment::open(path)),
      cursor_(environment_->tree()),
      neighbour_cursor_(environment_->tree()) {
  std::error_code absent;
  const std::string names = this->path() + "/" + kClassNamesFile;
  if (std::filesystem::exists(names, absent)) class_names_ = read_class_names(names);
}

void LmdbSource::read(uint64_t index, Record& record) {
  TRAINER_ASSERT(index < size());
  if (!at_ || *at_ != index) {
    const std::optional<uint64_t> from = at_;
    at_.reset();  // until the move has succeeded
    if (from && *from + 1 == index) {
      cursor_.next();
    } else if (keys_) {
      cursor_.find(keys_->key(index));
    } else {
      uint64_t at = 0;
      if (from && *from < index) {
        at = *from;
      } else {
        cursor_.first();
      }
      for (; at < index; ++at) cursor_.next();
    }
    at_ = index;
  }
  give(index, cursor_, record);
  if (prefetches_) prefetch(record.value);
}

void LmdbSource::read_following(const Record& record, Record& following) {
  const bool last = record.index + 1 == size();
  if (last) {
    neighbour_cursor_.first();
  } else {
    neighbour_cursor_.find(record.key);
    neighbour_cursor_.next();
  }
  give(last ? 0 : record.index + 1, neighbour_cursor_, following);
}

std::string LmdbSource::content() {
  neighbour_cursor_.first();
  const std::string first(neighbour_cursor_.key());
  neighbour_cursor_.last();
  return content_text(size(), first, neighbour_cursor_.key());
}

void LmdbSource::prepare_random_access(const LogLine& log) {
  if (keys_) return;
  uint64_t walked = 0;
  keys_ = gather_keys(
      path(), environment_->identity(), size(),
      [&](std::string_view& key) {
        if (walked == size()) return false;
        if (walked++ == 0) {
          neighbour_cursor_.first();
        } else {
          neighbour_cursor_.next();
        }
        key = neighbour_cursor_.key();
        return true;
      },
      log);
  if (environment_->size() < free_host_memory()) return;  // its pages soon stay in memory
  prefetches_ = true;
  environment_->expect_random_access();
}

// Small records share pages, and the system reads ahead more than the gaps between them.
void LmdbSource::prepare_sparse_access() {
  constexpr uint64_t kLeastRecordBytes = 4096;
  if (static_cast<uint64_t>(environment_->size()) / size() < kLeastRecordBytes) return;
  prefetches_ = true;
  environment_->expect_random_access();
}

}  // namespace trainer
