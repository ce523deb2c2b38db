// Makes the errors that reach the user.
//
// A user's mistake is an exception: thrown at the point of detection, caught once in main, printed without a stack
// trace. A broken internal invariant is a TRAINER_ASSERT. No function below main calls exit or abort because of bad
// input.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "trainer/error.h"

namespace trainer {

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
