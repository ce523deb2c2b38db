// Sequential reading moves one cursor; any other order goes through the key index.
#include "data/lmdb_source.h"

#include <chrono>

#include "base/error.h"
#include "base/text.h"

namespace trainer {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

constexpr uint64_t kEntriesPerClockLook = 65536;
constexpr double kSecondsBetweenLines = 5.0;
// Shorter walks are repeated rather than cached.
constexpr uint64_t kEntriesWorthCaching = 200000;

void give(uint64_t index, const LmdbCursor& cursor, Record& record) {
  record.index = index;
  record.key = cursor.key();
  record.value = cursor.value();
}

}  // namespace

LmdbSource::LmdbSource(const std::string& path)
    : environment_(LmdbEnvironment::open(path)),
      cursor_(environment_->tree()),
      neighbour_cursor_(environment_->tree()) {}

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

void LmdbSource::prepare_random_access(const LogLine& log) {
  if (keys_) return;
  const std::string file = size() >= kEntriesWorthCaching ? KeyIndex::cache_file(path()) : "";
  const std::string identity = environment_->identity();
  if (!file.empty()) {
    keys_ = KeyIndex::load(file, identity);
    if (keys_ && keys_->size() == size()) return;
    keys_.reset();
  }
  KeyIndex keys;
  const Clock::time_point start = Clock::now();
  double next_line = kSecondsBetweenLines;
  for (uint64_t i = 0; i < size(); ++i) {
    if (i == 0) {
      neighbour_cursor_.first();
    } else {
      neighbour_cursor_.next();
    }
    keys.add(neighbour_cursor_.key());
    if (log && i % kEntriesPerClockLook == 0 && seconds_since(start) > next_line) {
      log(fmt::format("Reading the keys of {} for shuffling: {} of {}", path(),
                      format_count(static_cast<int64_t>(i)), format_count(static_cast<int64_t>(size()))));
      next_line += kSecondsBetweenLines;
    }
  }
  if (!file.empty() && keys.save(file, identity) && log) {
    log(fmt::format("The keys of {} are kept in {} for the next run", path(), file));
  }
  keys_ = std::move(keys);
}

}  // namespace trainer
