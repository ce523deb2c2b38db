// What database folders have in common, whatever wrote them: the messages for one that is not there or is of
// another kind, and new ones that appear whole or not at all.
#pragma once

#include <string>

namespace trainer {

// How a database comes to be: "`trainer convert` makes a database, e.g. `trainer convert idx IMAGES LABELS
// PATH`; ..."
std::string database_remedy(const std::string& path);

// `path` made absolute, links followed as far as they lead.
std::string absolute_path(const std::string& path);

enum class DatabaseKind { kNone, kLmdb, kLevelDb };
// By the files in the folder.
DatabaseKind database_kind(const std::string& folder);

// There is nothing at `path`: tells what is near.
[[noreturn]] void throw_missing_database(const std::string& path);
// `folder` holds no database of the kind `wanted`: tells of which kind it is, or what it holds.
[[noreturn]] void throw_other_database(const std::string& folder, DatabaseKind wanted);

// A folder that is filled beside its target and put there in the end. What a killed process left of the same target is
// removed.
class NewDatabaseFolder {
 public:
  // Throws data_error where something is at `target` already or the folder cannot be made there.
  explicit NewDatabaseFolder(const std::string& target);
  // Without commit() the folder is removed.
  ~NewDatabaseFolder();
  NewDatabaseFolder(const NewDatabaseFolder&) = delete;
  NewDatabaseFolder& operator=(const NewDatabaseFolder&) = delete;

  const std::string& target() const { return target_; }
  const std::string& folder() const { return folder_; }  // to be filled
  // The files are closed: flushes the folder and renames it.
  void commit();

 private:
  std::string target_;
  std::string folder_;
  int lock_ = -1;  // on the folder, as long as it is filled
};

}  // namespace trainer
