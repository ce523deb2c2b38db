// Errors that reach the user, and the exit codes that scripts rely on.
//
// A user's mistake is an exception: thrown at the point of detection, caught once in main, printed without a stack
// trace. A broken internal invariant is a TRAINER_ASSERT. No function below main calls exit or abort because of bad
// input.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace trainer {

// Documented in docs/snapshots-and-exit-codes.md; scripts depend on the numbers. A run that signal n stops after a clean
// snapshot exits with 128 + n.
enum class ExitCode : int {
  kDone = 0,
  kInternal = 1,       // a bug in trainer
  kConfiguration = 2,  // command line, net or solver
  kData = 3,           // a data set, weight file or snapshot; a file that cannot be read or written
  kDiverged = 4,       // the loss is NaN or infinite
  kDevice = 5,         // a missing device, or too little memory
};

class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

// config_error("cannot read {}: {}", path, reason) and the similar functions below create the exception to throw.
template <typename... Args>
Error config_error(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ExitCode::kConfiguration, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Error data_error(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ExitCode::kData, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Error device_error(fmt::format_string<Args...> format, Args&&... args) {
  return Error(ExitCode::kDevice, fmt::format(format, std::forward<Args>(args)...));
}

// Thrown by TRAINER_ASSERT: exit code 1, "this is a bug in trainer".
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);

#define TRAINER_ASSERT(condition) ((condition) ? (void)0 : ::trainer::assertion_failed(#condition, __FILE__, __LINE__))

}  // namespace trainer
