// Errors, with the codes that the command line exits with.
#pragma once

#include <stdexcept>
#include <string>

namespace trainer {

// Documented in docs/snapshots-and-exit-codes.md; scripts depend on the numbers. A run that signal n stops after a
// clean snapshot exits with 128 + n.
enum class ExitCode : int {
  kDone = 0,
  kInternal = 1,       // a bug in trainer
  kConfiguration = 2,  // command line, net or solver
  kData = 3,           // a data set, weight file or snapshot; a file that cannot be read or written
  kDiverged = 4,       // the loss is NaN or infinite
  kDevice = 5,         // a missing device, or too little memory
  kOutOfTime = 6,      // max_time ended the run after a snapshot
  kRankFailed = 7,     // another process of the run failed, left or did not arrive
};

// what() is the text that the command line shows: for a mistake in a prototxt the listing with file, line and column.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace trainer
