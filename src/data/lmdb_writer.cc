// Transactions that are repeated where the map was too small.
#include "data/lmdb_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/error.h"

namespace trainer {

namespace fs = std::filesystem;

namespace {

void flush_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return;
  ::fsync(descriptor);
  ::close(descriptor);
}

}  // namespace

LmdbWriter::LmdbWriter(const std::string& target, size_t map_bytes) : map_bytes_(map_bytes) {
  std::error_code error;
  fs::path path = fs::absolute(target, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  target_ = path.string();
  if (fs::symlink_status(path, error).type() != fs::file_type::not_found) {
    throw data_error("{} exists already: choose another name, or remove it first with `rm -r {}`", target_,
                     target_);
  }
  if (!fs::is_directory(path.parent_path(), error)) {
    throw data_error("cannot make {}: there is no folder {}. `mkdir -p {}` makes it", target_,
                     path.parent_path().string(), path.parent_path().string());
  }
  std::string pattern = target_ + ".part-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) {
    throw data_error("cannot make a folder beside {}: {}", target_, std::strerror(errno));
  }
  folder_ = pattern;
  int result = mdb_env_create(&env_);
  if (result == 0) result = mdb_env_set_mapsize(env_, map_bytes_);
  // Nothing is flushed before finish(): until then an interruption leaves no database anyway.
  if (result == 0) result = mdb_env_open(env_, folder_.c_str(), MDB_NOSYNC | MDB_NOTLS, 0664);
  if (result != 0) {
    close();
    throw data_error("cannot make {}: {}", target_, mdb_strerror(result));
  }
}

LmdbWriter::~LmdbWriter() { close(); }

void LmdbWriter::close() {
  if (env_ != nullptr) mdb_env_close(env_);
  env_ = nullptr;
  std::error_code error;
  if (!folder_.empty()) fs::remove_all(folder_, error);
  folder_.clear();
}

void LmdbWriter::put(std::string_view key, std::string_view value) {
  pending_.emplace_back(key, value);
  if (pending_.size() == kRecordsPerCommit) commit();
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
  if (result != 0) throw data_error("cannot write {}: {}", target_, mdb_strerror(result));
  pending_.clear();
}

void LmdbWriter::finish() {
  commit();
  const int result = mdb_env_sync(env_, 1);
  if (result != 0) throw data_error("cannot write {}: {}", target_, mdb_strerror(result));
  mdb_env_close(env_);
  env_ = nullptr;
  ::chmod(folder_.c_str(), 0755);
  flush_folder(folder_);
  if (::rename(folder_.c_str(), target_.c_str()) != 0) {
    throw data_error("cannot put {} in its place: {}", target_, std::strerror(errno));
  }
  folder_.clear();
  flush_folder(fs::path(target_).parent_path());
}

}  // namespace trainer
