// Finds, names and creates folders of databases.
#include "data/records/database_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "formats/temporaries.h"

namespace trainer {

namespace fs = std::filesystem;

namespace {

// Names in `folder`, for messages about its content.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end && names.size() < 1000; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  return names;
}

// The databases among `names`.
std::vector<std::string> databases_of(const fs::path& folder, const std::vector<std::string>& names) {
  std::vector<std::string> databases;
  for (const std::string& name : names) {
    if (database_kind((folder / name).string()) != DatabaseKind::kNone) databases.push_back(name);
  }
  return databases;
}

// The nearest name, or one that contains or is contained in the other (train_lmdb, mnist_train_lmdb).
std::string nearest_database(const std::string& wanted, const std::vector<std::string>& names) {
  const std::string near = nearest_name(wanted, names);
  if (!near.empty()) return near;
  for (const std::string& name : names) {
    if (wanted.find(name) != std::string::npos || name.find(wanted) != std::string::npos) return name;
  }
  return "";
}

std::string list_few(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < 5; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > 5) text += fmt::format(" and {} more", names.size() - 5);
  return text.empty() ? "nothing" : text;
}

}  // namespace

std::string database_remedy(const std::string& path) {
  return fmt::format(
      "`trainer convert` makes a database, e.g. `trainer convert idx IMAGES LABELS {}`; `trainer help "
      "convert` shows the rest",
      path);
}

std::string absolute_path(const std::string& path) {
  std::error_code error;
  const fs::path result = fs::weakly_canonical(fs::absolute(path, error), error);
  return result.empty() ? path : result.string();
}

DatabaseKind database_kind(const std::string& folder) {
  std::error_code error;
  if (fs::exists(fs::path(folder) / "data.mdb", error)) return DatabaseKind::kLmdb;
  if (fs::exists(fs::path(folder) / "CURRENT", error)) return DatabaseKind::kLevelDb;
  return DatabaseKind::kNone;
}

void throw_missing_database(const std::string& path) {
  fs::path parent = fs::path(path).parent_path();
  std::error_code error;
  if (!fs::is_directory(parent, error)) {
    while (parent.has_parent_path() && parent != parent.parent_path() && !fs::is_directory(parent, error)) {
      parent = parent.parent_path();
    }
    throw data_error("there is no database {}: its folder does not exist either, only {} does. {}", path,
                     parent.string(), database_remedy(path));
  }
  std::vector<std::string> names = names_in(parent);
  const std::vector<std::string> databases = databases_of(parent, names);
  if (!databases.empty()) names = databases;
  std::sort(names.begin(), names.end());
  const std::string near = nearest_database(fs::path(path).filename().string(), names);
  throw data_error("there is no database {}: {} holds {}{}{} {}", path, parent.string(),
                   databases.empty()       ? ""
                   : databases.size() == 1 ? "the database "
                                           : "the databases ",
                   list_few(names), near.empty() ? "." : fmt::format("; did you mean {}?", near),
                   database_remedy(path));
}

void throw_other_database(const std::string& folder, DatabaseKind wanted) {
  std::error_code error;
  const fs::directory_iterator readable(folder, error);
  if (error) throw data_error("{} cannot be read: {}", folder, error.message());
  const DatabaseKind kind = database_kind(folder);
  if (kind == DatabaseKind::kLevelDb && wanted == DatabaseKind::kLmdb) {
    throw data_error(
        "{} holds a LevelDB database, not an LMDB one: write backend: LEVELDB in data_param, or --backend=leveldb",
        folder);
  }
  if (kind == DatabaseKind::kLmdb && wanted == DatabaseKind::kLevelDb) {
    throw data_error(
        "{} holds an LMDB database, not a LevelDB one: write backend: LMDB in data_param (without a backend it is "
        "LEVELDB, as in Caffe), or --backend=lmdb",
        folder);
  }
  throw data_error("{} is a folder without {}: it holds {}. {}", folder,
                   wanted == DatabaseKind::kLmdb ? "data.mdb, so it is not an LMDB database"
                                                 : "CURRENT, so it is not a LevelDB database",
                   list_few(names_in(folder)), database_remedy("NEW_FOLDER"));
}

NewDatabaseFolder::NewDatabaseFolder(const std::string& target) {
  if (target.empty()) throw config_error("the name of the new database is empty");
  std::error_code error;
  fs::path path = fs::absolute(target, error).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  target_ = path.string();
  if (fs::symlink_status(path, error).type() != fs::file_type::not_found) {
    throw data_error("{} exists already: choose another name, or remove it first", target_);
  }
  if (!fs::is_directory(path.parent_path(), error)) {
    throw data_error("cannot make {}: there is no folder {}. `mkdir -p {}` makes it", target_,
                     path.parent_path().string(), path.parent_path().string());
  }
  const std::string begin = target_ + ".part-";
  remove_abandoned(begin, "");
  do {
    if (lock_ >= 0) ::close(lock_);
    folder_ = begin + temporary_tag();
    lock_ = ::mkdir(folder_.c_str(), 0777) == 0 ? ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (lock_ < 0 && errno != EEXIST)
      throw data_error("cannot make a folder beside {}: {}", target_, std::strerror(errno));
  } while (lock_ < 0 || !lock_temporary(lock_));
}

NewDatabaseFolder::~NewDatabaseFolder() {
  std::error_code error;
  if (!folder_.empty()) fs::remove_all(folder_, error);
  ::close(lock_);
}

void NewDatabaseFolder::commit() {
  flush_folder(folder_);
  if (::rename(folder_.c_str(), target_.c_str()) != 0) {
    throw data_error("cannot rename {} to its final name: {}", target_, std::strerror(errno));
  }
  folder_.clear();
  flush_folder(fs::path(target_).parent_path().string());
}

}  // namespace trainer
