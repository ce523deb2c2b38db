// A file that appears whole or not at all: written under a temporary name in the same folder, flushed to disk, renamed;
// then the folder is flushed. A kill at any instruction leaves either the old file or the new one.
//
// If the path is a symbolic link, its target is replaced and the link stays. The permissions of an existing file are
// kept, and a write-protected file is an error. A path that is not a file on a disk (a pipe, a terminal, /dev/null) is
// written directly.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {

// The treatment of a file that already exists at the path.
enum class Existing { kReplaced, kKept };

class AtomicFile {
 public:
  // Creates the temporary file. `expected_bytes`, if known, is compared with the free space, so that a full disk is
  // reported before anything is written. With kKept, an existing file is a data_error here, and also in commit() if it
  // appears before that.
  explicit AtomicFile(const std::string& path, int64_t expected_bytes = 0, Existing existing = Existing::kReplaced);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  // Removes the temporary file if commit() was not called.
  ~AtomicFile();

  const std::string& path() const { return path_; }
  // For libraries that write to a path (HDF5): write this file, close it, then call commit(). Throws if the target is
  // not a file on a disk.
  const std::string& temporary_path() const;

  void write(const void* bytes, size_t count);
  // Replaces the first bytes of what was written. Throws if the target is not a file on a disk.
  void replace_begin(const void* bytes, size_t count);
  // Compares the final size with the free space.
  void expect(int64_t bytes);
  // Lets commit() replace the file at another path of the same folder instead.
  void redirect(const std::string& path);
  // Flushes everything to disk under the temporary name.
  void finish();
  // Calls finish() and renames the file to its final path.
  void commit();
  // Calls finish() on all files, then renames them in this order, with no slow operation in between.
  static void commit_together(const std::vector<AtomicFile*>& files);

 private:
  void flush();
  void open_directly();
  void rename();
  void remove_temporary() noexcept;
  [[noreturn]] void fail(const char* action, int error);

  std::string path_;
  Existing existing_;
  std::string temporary_;  // "": written directly
  std::string pending_;
  int64_t expected_bytes_ = 0;
  int64_t written_ = 0;
  int descriptor_ = -1;
  bool finished_ = false;
};

// Writes a whole file. Its size is compared with the free space first.
void write_file(const std::string& path, std::string_view content, Existing existing = Existing::kReplaced);

// Throws a data_error with the remedy if a file is at `path`. For long operations, to check before they start.
void refuse_existing(const std::string& path, const std::string& remedy = "choose another name, or remove it first");

// Throws a data_error if `path` is not a regular file or is write-protected.
void check_replaceable(const std::string& path);

// Removes the temporary files, left by killed processes, of files whose names begin with `prefix`.
void remove_abandoned_temporaries(const std::string& prefix);

// Throws unless files named `prefix`... can be created: creates one and removes it. The message distinguishes a missing
// folder (with the command that creates it), a folder that is not writable (with its owner) and a full disk.
void check_writable_prefix(const std::string& prefix);

}  // namespace trainer
