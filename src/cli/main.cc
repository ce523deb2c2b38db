// The program `trainer`: sets the process up, runs a command and reports errors.
#include <cstdio>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
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

int fail_without_threads() {
  return fail(
      "the system cannot start more threads. The limit of processes of this user (`ulimit -u`) or of the container "
      "(pids) is too small for the cores of this machine: raise it, or set OMP_NUM_THREADS to a smaller number. "
      "OMP_STACKSIZE may also be too large",
      trainer::ExitCode::kDevice);
}

// `net`: the command computes with a net, so a smaller batch helps.
int fail_without_memory(bool net) {
  return fail(net ? "out of memory. A smaller batch_size with a larger iter_size needs less."
                  : "out of memory: the command needs more than is free or `ulimit -v` allows",
              trainer::ExitCode::kDevice);
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
  } catch (const trainer::Error& error) {
    return fail(error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return fail_without_memory(command != nullptr && command->computes);
  } catch (const std::exception& error) {
    const auto* system = dynamic_cast<const std::system_error*>(&error);
    if (system != nullptr && system->code() == std::errc::resource_unavailable_try_again) return fail_without_threads();
    return fail((std::string("internal error: ") + error.what() + " (this is a bug in trainer)").c_str(),
                trainer::ExitCode::kInternal);
  }
}
