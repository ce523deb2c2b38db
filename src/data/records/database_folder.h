// Folders of databases of any kind: the messages for a missing database or one of another kind, and new folders that
// appear complete or not at all.
#pragma once

#include <string>

namespace trainer {

// How to make a database: "`trainer convert` makes a database, e.g. `trainer convert idx IMAGES LABELS PATH`; ..."
std::string database_remedy(const std::string& path);

// Makes `path` absolute; follows links.
std::string absolute_path(const std::string& path);

// The file in the folder of a database with the names of its classes, one in a line; optional.
constexpr const char* kClassNamesFile = "labels.txt";

enum class DatabaseKind { kNone, kLmdb, kLevelDb };
// Derived from the files in the folder.
DatabaseKind database_kind(const std::string& folder);

// Throws data_error for a missing `path`; the message names similar databases.
[[noreturn]] void throw_missing_database(const std::string& path);
// Throws data_error for a `folder` without a database of the kind `wanted`; the message names its kind or its content.
[[noreturn]] void throw_other_database(const std::string& folder, DatabaseKind wanted);

// A folder that is filled beside its target and renamed to it at the end. Removes the leftovers of a killed process
// with the same target.
class NewDatabaseFolder {
 public:
  // Throws data_error if `target` exists or the folder cannot be created.
  explicit NewDatabaseFolder(const std::string& target);
  // Removes the folder unless commit() was called.
  ~NewDatabaseFolder();
  NewDatabaseFolder(const NewDatabaseFolder&) = delete;
  NewDatabaseFolder& operator=(const NewDatabaseFolder&) = delete;

  const std::string& target() const { return target_; }
  const std::string& folder() const { return folder_; }  // to be filled
  // Call after closing the files: flushes the folder and renames it.
  void commit();

 private:
  std::string target_;
  std::string folder_;
  int lock_ = -1;  // on the folder while it is filled
};

}  // namespace trainer
