// Repeats a transaction if the map was too small.
#include "data/records/lmdb_appender.h"

#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"

namespace trainer {

LmdbAppender::LmdbAppender(const std::string& folder, const std::string& shown, Flush flush, size_t map_bytes)
    : folder_(folder), shown_(shown), map_bytes_(map_bytes) {
  // No other process uses the database. A lock file would be a map, whose pages a full disk cannot take: SIGBUS.
  const unsigned int flags = MDB_NOTLS | MDB_NOLOCK | (flush == Flush::kNever ? MDB_NOSYNC : 0u);
  int result = mdb_env_create(&env_);
  if (result == 0) result = mdb_env_set_mapsize(env_, map_bytes_);
  if (result == 0) result = mdb_env_open(env_, folder_.c_str(), flags, 0666);
  if (result != 0) {
    close();
    throw data_error("cannot make {}: {}", shown_, mdb_strerror(result));
  }
}

LmdbAppender::~LmdbAppender() { close(); }

void LmdbAppender::close() {
  if (env_ != nullptr) mdb_env_close(env_);
  env_ = nullptr;
}

void LmdbAppender::put(std::string_view key, std::string_view value) {
  const auto longest = static_cast<size_t>(mdb_env_get_maxkeysize(env_));
  if (key.empty() || key.size() > longest) {
    throw data_error(
        "cannot write {}: the key \"{}\" is {} bytes long, and LMDB allows 1 to {}. Shorten the path, or make "
        "a LevelDB database",
        shown_, key, key.size(), longest);
  }
  pending_.emplace_back(key, value);
}

uint64_t LmdbAppender::entries() const {
  MDB_stat stat{};
  const int result = mdb_env_stat(env_, &stat);
  if (result != 0) fail(result);
  return stat.ms_entries;
}

// LMDB reports a write that a full disk cut short as an input/output error.
void LmdbAppender::fail(int result) const {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder_, error);
  throw data_error("cannot write {}: {}{}", shown_, mdb_strerror(result),
                   error || result != EIO ? ""
                                          : fmt::format(" ({} are free on the disk)",
                                                        format_bytes(static_cast<int64_t>(space.available))));
}

int LmdbAppender::try_commit() {
  MDB_txn* transaction = nullptr;
  int result = mdb_txn_begin(env_, nullptr, 0, &transaction);
  if (result != 0) return result;
  MDB_dbi database = 0;
  result = mdb_dbi_open(transaction, nullptr, 0, &database);
  for (size_t i = 0; result == 0 && i < pending_.size(); ++i) {
    MDB_val key{pending_[i].first.size(), pending_[i].first.data()};
    MDB_val value{pending_[i].second.size(), pending_[i].second.data()};
    result = mdb_put(transaction, database, &key, &value, 0);
  }
  if (result != 0) {
    mdb_txn_abort(transaction);
    return result;
  }
  return mdb_txn_commit(transaction);
}

void LmdbAppender::commit() {
  int result = try_commit();
  while (result == MDB_MAP_FULL) {
    map_bytes_ *= 2;
    result = mdb_env_set_mapsize(env_, map_bytes_);
    if (result == 0) result = try_commit();
  }
  if (result != 0) fail(result);
  pending_.clear();
}

void LmdbAppender::finish() {
  commit();
  const int result = mdb_env_sync(env_, 1);
  if (result != 0) fail(result);
  close();
}

}  // namespace trainer
