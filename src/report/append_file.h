// A file of the run folder that grows during the run. A failure never stops the run: the first one is kept for the
// caller to report, and nothing more is written.
#pragma once

#include <string>
#include <string_view>

namespace trainer {

class AppendFile {
 public:
  AppendFile() = default;
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  ~AppendFile();

  // Opens for appending and creates the file if it does not exist; closes the file that was open. On failure returns
  // false and sets problem().
  bool open(const std::string& path);
  // Writes all bytes at once, without a buffer, so that a kill loses nothing.
  void write(std::string_view bytes);

  // The first failure, with the path; "" if there is none.
  const std::string& problem() const { return problem_; }

 private:
  void fail(const char* action, int error);

  int descriptor_ = -1;
  std::string path_;
  std::string problem_;
};

// Replaces the whole file, so that a reader sees either the old or the new content. Returns "" or the failure. Does not
// wait for the disk, because the content can be generated again.
std::string write_whole_file(const std::string& path, std::string_view bytes);

}  // namespace trainer
