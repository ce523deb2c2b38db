// The log's lines of this process, kept until it is known which file they go to, and written there from then
// on.
#pragma once

#include <memory>
#include <string>

namespace trainer {

// Receives every line that is logged while it lives, from any thread.
class LogFile {
 public:
  LogFile();
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // Writes what was kept, and every later line as it comes, behind what the file holds. "" or what went
  // wrong; then, as after close(), nothing is kept any more.
  std::string open(const std::string& path);
  void close();

 private:
  class Sink;
  std::unique_ptr<Sink> sink_;
};

}  // namespace trainer
