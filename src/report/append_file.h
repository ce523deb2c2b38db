// A file of the run folder that grows while the run goes on. Its failure never stops a run: the first one is
// kept for the caller to tell, and nothing more is written.
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

  // Opens for appending, making the file where it is not there. False with problem() set where that fails.
  bool open(const std::string& path);
  // Writes all bytes now, without a buffer: a kill loses nothing.
  void write(std::string_view bytes);

  // "" or what went wrong first, with the path.
  const std::string& problem() const { return problem_; }

 private:
  void fail(const char* action, int error);

  int descriptor_ = -1;
  std::string path_;
  std::string problem_;
};

// The whole file made anew, so that a reader sees the old one or the new one; "" or what went wrong. Nothing
// waits for the disk: what is written here can be made again.
std::string write_whole_file(const std::string& path, std::string_view bytes);

}  // namespace trainer
