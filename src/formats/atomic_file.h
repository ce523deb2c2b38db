// A file that appears whole or not at all: written under a temporary name in the same folder, flushed to the
// disk, renamed, and the folder flushed. A kill at any instruction leaves the old file or the new one.
//
// A link keeps its place, the file it leads to is replaced; that file's permissions are kept, and where they forbid to
// write, it is refused. What is no file on a disk (a pipe, a terminal, /dev/null) is written directly.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

namespace trainer {

// What becomes of a file that is at the path already.
enum class Existing { kReplaced, kKept };

class AtomicFile {
 public:
  // Makes the temporary file. `expected_bytes`, where known, is compared with the free space first, so that a
  // full disk is told before anything is written. A file to be kept is a data_error, here and where it appears before
  // commit().
  explicit AtomicFile(const std::string& path, int64_t expected_bytes = 0, Existing existing = Existing::kReplaced);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  // Without commit() the temporary file is removed.
  ~AtomicFile();

  const std::string& path() const { return path_; }
  // For libraries that write by path (HDF5): write this file, close it, then commit(). Throws where the target is no
  // file on a disk.
  const std::string& temporary_path() const;

  void write(const void* bytes, size_t count);
  // Compares the size it will have with the free space.
  void expect(int64_t bytes);
  // Makes everything durable under the temporary name.
  void finish();
  // The same, and puts the file in its place.
  void commit();
  // Puts several files in their places, in this sequence, once all of them are durable: nothing between takes time.
  static void commit_together(std::initializer_list<AtomicFile*> files);

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

// Throws a data_error with the remedy where a file is at `path`: for what takes long, before it begins.
void refuse_existing(const std::string& path, const std::string& remedy = "choose another name, or remove it first");

// Throws a data_error where what is at `path` is no regular file, or write-protected.
void check_replaceable(const std::string& path);

// Removes what killed processes left of files whose names begin with `prefix`.
void remove_abandoned_temporaries(const std::string& prefix);

// Throws unless files named `prefix`... can be made: tries one, then removes it. The message tells a missing
// folder (with the command that makes it) from one that is not writable (with its owner) and from a full
// disk.
void check_writable_prefix(const std::string& prefix);

}  // namespace trainer
