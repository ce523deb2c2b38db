// Repeats a transaction if the map was too small.
#include "data/records/lmdb_writer.h"

#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "base/text.h"

namespace trainer {

LmdbWriter::LmdbWriter(const std::string& target, size_t map_bytes) : folder_(target), map_bytes_(map_bytes) {
  int result = mdb_env_create(&env_);
  if (result == 0) result = mdb_env_set_mapsize(env_, map_bytes_);
  // No flush before finish(): an interruption before it leaves no database anyway.
  if (result == 0) result = mdb_env_open(env_, folder_.folder().c_str(), MDB_NOSYNC | MDB_NOTLS, 0666);
  if (result != 0) {
    close();
    throw data_error("cannot make {}: {}", folder_.target(), mdb_strerror(result));
  }
}

LmdbWriter::~LmdbWriter() { close(); }

void LmdbWriter::close() {
  if (env_ != nullptr) mdb_env_close(env_);
  env_ = nullptr;
}

void LmdbWriter::put(std::string_view key, std::string_view value) {
  const auto longest = static_cast<size_t>(mdb_env_get_maxkeysize(env_));
  if (key.empty() || key.size() > longest) {
    throw data_error(
        "cannot write {}: the key \"{}\" is {} bytes long, and LMDB allows 1 to {}. Shorten the path, or make "
        "a LevelDB database",
        folder_.target(), key, key.size(), longest);
  }
  pending_.emplace_back(key, value);
  if (pending_.size() == kRecordsPerCommit) commit();
}

// LMDB reports a write that a full disk cut short as an input/output error.
void LmdbWriter::fail(int result) const {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(folder_.folder(), error);
  throw data_error("cannot write {}: {}{}", folder_.target(), mdb_strerror(result),
                   error || result != EIO ? ""
                                          : fmt::format(" ({} are free on the disk)",
                                                        format_bytes(static_cast<int64_t>(space.available))));
}

int LmdbWriter::try_commit() {
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

void LmdbWriter::commit() {
  int result = try_commit();
  while (result == MDB_MAP_FULL) {
    map_bytes_ *= 2;
    result = mdb_env_set_mapsize(env_, map_bytes_);
    if (result == 0) result = try_commit();
  }
  if (result != 0) fail(result);
  pending_.clear();
}

void LmdbWriter::finish() {
  commit();
  const int result = mdb_env_sync(env_, 1);
  if (result != 0) fail(result);
  mdb_env_close(env_);
  env_ = nullptr;
  folder_.commit();
}

}  // namespace trainer
