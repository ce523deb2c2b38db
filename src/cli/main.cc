// The program `trainer`: sets the process up, runs one command, and is the one place where errors end.
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/command.h"
#include "cli/process_setup.h"
#include "config/diagnostics.h"

namespace {

int fail(const char* message, trainer::ExitCode code, const char* prefix = "trainer: error: ") {
  std::fflush(stdout);
  std::fprintf(stderr, "%s%s\n", prefix, message);
  return static_cast<int>(code);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
    const trainer::Command* command = trainer::command_of(words);
    trainer::set_up_process(argv, command != nullptr && command->computes);
    const int code = trainer::run_command_line(words);
    if (std::fflush(stdout) != 0 || std::ferror(stdout) != 0)
      return fail("cannot write to the standard output", trainer::ExitCode::kData);
    return code;
  } catch (const trainer::DiagnosticsError& error) {
    return fail(error.what(), error.code(), "");
  } catch (const trainer::Error& error) {
    return fail(error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return fail("out of memory. A smaller batch_size with a larger iter_size needs less.",
                trainer::ExitCode::kDevice);
  } catch (const std::exception& error) {
    return fail((std::string("internal error: ") + error.what() + " (this is a bug in trainer)").c_str(),
                trainer::ExitCode::kInternal);
  }
}
