// Opens databases and reports their errors.
#include "data/records/lmdb_environment.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "data/records/database_folder.h"

namespace trainer {

namespace fs = std::filesystem;

namespace {

std::mutex registry_mutex;
std::map<std::string, std::weak_ptr<LmdbEnvironment>> registry;

}  // namespace

std::shared_ptr<LmdbEnvironment> LmdbEnvironment::open(const std::string& path) {
  const std::string full = absolute_path(path);
  std::lock_guard<std::mutex> lock(registry_mutex);
  std::weak_ptr<LmdbEnvironment>& known = registry[full];
  if (auto environment = known.lock()) return environment;
  std::shared_ptr<LmdbEnvironment> environment(new LmdbEnvironment(full));
  environment->map_file();
  environment->lock();
  known = environment;
  return environment;
}

LmdbEnvironment::~LmdbEnvironment() {
  if (transaction_ != nullptr) mdb_txn_abort(transaction_);
  if (env_ != nullptr) mdb_env_close(env_);
  if (descriptor_ >= 0) ::close(descriptor_);
}

void LmdbEnvironment::map_file() {
  std::error_code error;
  if (!fs::exists(path_, error)) throw_missing_database(path_);
  const bool folder = fs::is_directory(path_, error);
  data_file_ = folder ? (fs::path(path_) / "data.mdb").string() : path_;
  if (folder && !fs::exists(data_file_, error)) throw_other_database(path_, DatabaseKind::kLmdb);

  descriptor_ = ::open(data_file_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat file {};
  if (descriptor_ < 0 || ::fstat(descriptor_, &file) != 0) {
    throw data_error("{} cannot be read: {}. Its owner can allow it with `chmod -R a+rX {}`", data_file_,
                     std::strerror(errno), path_);
  }
  changed_ns_ = int64_t{file.st_mtim.tv_sec} * 1000000000 + file.st_mtim.tv_nsec;
  if (!S_ISREG(file.st_mode) || file.st_size == 0) {
    throw data_error("{} is not an LMDB database. {}", data_file_, database_remedy("NEW_FOLDER"));
  }
  file_ = MappedFile::map(descriptor_, static_cast<uint64_t>(file.st_size));
  if (!file_) throw data_error("{} cannot be mapped: {}", data_file_, std::strerror(errno));
  tree_.emplace(file_->bytes(), file_->size(), 0, data_file_, [this] { check_intact(); });
}

void LmdbEnvironment::check_intact() const {
  struct stat file {};
  const bool known = ::fstat(descriptor_, &file) == 0;
  if (known && static_cast<uint64_t>(file.st_size) < file_->size()) {
    throw data_error("{} was truncated while it was read: it had {} and has {}. Copy or make it again", data_file_,
                     format_bytes(static_cast<int64_t>(file_->size())), format_bytes(file.st_size));
  }
  if (file_->failed()) {
    throw data_error(
        "{} could not be read: its disk or file system gave an error, or it was truncated for a time. `dmesg` "
        "may say more",
        data_file_);
  }
}

// Takes a reader slot. Works without one if no lock file can be created: a read-only file system, or a folder of
// another user.
void LmdbEnvironment::lock() {
  const unsigned int kind = data_file_ == path_ ? MDB_NOSUBDIR : 0;
  int result = 0;
  for (unsigned int extra : {0u, static_cast<unsigned int>(MDB_NOLOCK)}) {
    if (env_ != nullptr) mdb_env_close(env_);
    env_ = nullptr;
    result = mdb_env_create(&env_);
    if (result == 0) result = mdb_env_open(env_, path_.c_str(), MDB_RDONLY | MDB_NOTLS | kind | extra, 0664);
    if (result == 0) result = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &transaction_);
    if (result != EACCES && result != EROFS && result != EAGAIN && result != ENOLCK && result != EPERM) break;
  }
  if (result == MDB_READERS_FULL) {
    throw data_error("{} has as many readers as LMDB allows. Readers that died are cleared by `mdb_stat -rr {}`", path_,
                     path_);
  }
  if (result != 0) throw data_error("{} cannot be opened: {}", data_file_, mdb_strerror(result));
  // The state that the transaction protects; it may be newer than the checked one.
  const uint64_t number = mdb_txn_id(transaction_);
  if (number != tree_->transaction())
    tree_.emplace(file_->bytes(), file_->size(), number, data_file_, [this] { check_intact(); });
  if (tree_->entries() == 0) {
    throw data_error("{} is an empty database: it has no records. Perhaps its creation was interrupted; {}", path_,
                     database_remedy("NEW_FOLDER"));
  }
}

std::string LmdbEnvironment::identity() const {
  return fmt::format("{}\n{} bytes\nchanged {}\ntransaction {}\n{} entries", path_, file_->size(), changed_ns_,
                     tree_->transaction(), tree_->entries());
}

}  // namespace trainer
