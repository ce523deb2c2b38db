// The state is a text file, replaced as a whole.
#include "data/convert/unfinished_target.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/text.h"
#include "data/records/database_folder.h"
#include "formats/atomic_file.h"
#include "formats/temporaries.h"

namespace trainer {

namespace fs = std::filesystem;

namespace {

constexpr const char* kState = "/state";

std::string image_count(uint64_t count) { return format_count(static_cast<int64_t>(count)); }

void rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw data_error("cannot make {}: {}", to, std::strerror(errno));
}

bool exists(const std::string& path) {
  std::error_code absent;
  return fs::symlink_status(path, absent).type() != fs::file_type::not_found;
}

// An LMDB database with nothing else in its folder, or a regular file.
bool is_replaceable(const std::string& path) {
  std::error_code absent;
  if (!fs::is_directory(path, absent)) return fs::is_regular_file(path, absent);
  const auto of_database = [](const fs::directory_entry& entry) {
    const fs::path name = entry.path().filename();
    return name == "data.mdb" || name == "lock.mdb" || name == "labels.txt";
  };
  return database_kind(path) == DatabaseKind::kLmdb &&
         std::all_of(fs::directory_iterator(path), fs::directory_iterator(), of_database);
}

}  // namespace

UnfinishedTarget::UnfinishedTarget(const std::string& target, std::vector<MadeFile> files, Options options)
    : folder_(target + ".part"), files_(std::move(files)), options_(std::move(options)) {
  const std::string parent = fs::path(target).parent_path().string();
  std::error_code error;
  if (!fs::is_directory(parent, error))
    throw data_error("cannot make {}: there is no folder {}. `mkdir -p {}` makes it", target, parent, parent);
  const bool made = ::mkdir(folder_.c_str(), 0777) == 0;
  if (!made && errno != EEXIST) throw data_error("cannot make the folder {}: {}", folder_, std::strerror(errno));
  lock_folder();
  try {
    load();
    check_targets();
    if (state_.done > 0 && options_.resume) return;
    if (state_.done > 0 && !options_.overwrite)
      throw data_error("{} of an interrupted conversion: continue it with --resume, or begin again with --overwrite",
                       content());
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) fs::remove_all(entry.path());
    save({});
  } catch (...) {
    if (made) remove();
    ::close(lock_);
    throw;
  }
}

UnfinishedTarget::~UnfinishedTarget() {
  if (state_.done == 0) remove();
  ::close(lock_);
}

// On file systems without locks, nothing guards the folder.
void UnfinishedTarget::lock_folder() {
  lock_ = ::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0) throw data_error("cannot open the folder {}: {}", folder_, std::strerror(errno));
  if (::flock(lock_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(lock_);
  throw data_error("another process makes files in {}: wait until it ends", folder_);
}

void UnfinishedTarget::check_targets() const {
  for (const std::string& path : options_.outdated) {
    if (!exists(path)) continue;
    if (!options_.overwrite)
      refuse_existing(path,
                      "it is of a conversion with another number of shards. Choose another name, or replace all its "
                      "files with --overwrite");
    if (!is_replaceable(path))
      throw data_error("{} is not replaced: it is not a regular file. Choose another name", path);
  }
  for (const MadeFile& file : files_) {
    if (!exists(file.path) || (state_.complete && !exists(folder_ + "/" + file.name))) continue;
    if (!options_.overwrite) refuse_existing(file.path, "choose another name, or replace it with --overwrite");
    if (!is_replaceable(file.path))
      throw data_error(
          "{} is not replaced: it is neither a file nor the folder of an LMDB database with nothing else in it. Choose "
          "another name",
          file.path);
  }
}

// Throws if the folder has files of others.
void UnfinishedTarget::check_foreign() const {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    if (!entry.path().filename().string().starts_with(".state"))  // a temporary file
      throw data_error("{} exists, and is not an interrupted conversion: rename it, or choose another target", folder_);
  }
}

void UnfinishedTarget::load() {
  std::ifstream in(folder_ + kState);
  if (!in) return check_foreign();
  std::string digest;
  ConversionState& s = state_;
  in >> digest >> saved_total_ >> s.done >> s.skipped >> s.shard >> s.rows >> s.shape.channels >> s.shape.height >>
      s.shape.width >> s.complete;
  if (!in) throw data_error("{}{} is damaged: remove the folder to begin again", folder_, kState);
  if (s.done > 0 && options_.resume && digest != options_.digest)
    throw data_error(
        "{} has a conversion with other images, labels or flags: give the same ones, or begin again with --overwrite "
        "in place of --resume",
        folder_);
}

void UnfinishedTarget::save(const ConversionState& state) {
  const std::string text =
      fmt::format("{} {}\n{} {} {} {}\n{} {} {}\n{:d}\n", options_.digest, options_.total, state.done, state.skipped,
                  state.shard, state.rows, state.shape.channels, state.shape.height, state.shape.width, state.complete);
  AtomicFile file(folder_ + kState);
  file.write(text.data(), text.size());
  file.commit();
  state_ = state;
  saved_total_ = options_.total;
}

std::string UnfinishedTarget::content() const {
  if (state_.done == 0) return "";
  return fmt::format("{} has {} of {} images", folder_, image_count(state_.done), image_count(saved_total_));
}

void UnfinishedTarget::publish() {
  TRAINER_ASSERT(state_.complete);
  check_targets();  // again, because the conversion may have taken hours
  for (size_t i = 0; i < files_.size(); ++i) {
    if (!exists(path(i))) continue;  // moved before an interruption
    if (exists(files_[i].path)) rename(files_[i].path, fmt::format("{}/replaced-{}", folder_, i));
    rename(path(i), files_[i].path);
  }
  for (const std::string& path : options_.outdated) {
    if (exists(path)) rename(path, folder_ + "/" + fs::path(path).filename().string());
  }
  flush_folder(fs::path(folder_).parent_path().string());
}

void UnfinishedTarget::remove() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

}  // namespace trainer
