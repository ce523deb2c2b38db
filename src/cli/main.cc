// The program `trainer`: sets the process up, runs a command and reports errors.
#include <cstdio>
#include <string>
#include <vector>

#include "base/caught_error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/process_setup.h"
#include "config/diagnostics.h"

namespace {

int fail(const char* message, trainer::ExitCode code, const char* prefix = "trainer: error: ") {
  std::fflush(stdout);
  std::fprintf(stderr, "%s%s\n", prefix, trainer::printable(message, true).c_str());
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  const trainer::Command* command = nullptr;
  try {
    const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
    command = trainer::command_of(words);
    trainer::set_up_process(argv, command != nullptr && command->computes);
    const int code = trainer::run_command_line(words);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      return fail("cannot write to the standard output", trainer::ExitCode::kData);
    return code;
  } catch (const trainer::DiagnosticsError& error) {
    return fail(error.what(), error.code(), "");
  } catch (...) {
    const trainer::Error error = trainer::caught_error(command != nullptr && command->computes);
    return fail(error.what(), error.code());
  }
}
