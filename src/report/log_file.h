// Copies this process's log lines to a file. Lines are kept in memory until the file is known, and written directly
// from then on.
#pragma once

#include <memory>
#include <string>

namespace trainer {

// Receives every line that any thread logs during its lifetime.
class LogFile {
 public:
  LogFile();
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  // Appends the kept lines to the file, and every later line as it arrives. Returns "" or the failure. After a failure
  // or close() no line is kept.
  std::string open(const std::string& path);
  void close();

 private:
  class Sink;
  std::unique_ptr<Sink> sink_;
};

}  // namespace trainer
