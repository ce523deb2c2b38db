// The commands of `trainer`, one file each (command_<name>.cc), which registers itself with its table of
// flags.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "cli/flags.h"

namespace trainer {

// Thrown by a command that was called with too few or too many words: its usage is shown with the message.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(ExitCode::kConfiguration, message) {}
};

struct Command {
  const char* name;
  const char* summary;      // one line for `trainer help`
  const char* usage;        // its calls, one a line, without the program's name: "train --solver=FILE [flags]"
  const char* description;  // paragraphs, blank lines between them; lines that start with a blank stay as they are
  std::vector<Flag> flags;
  // Runs the command and returns the exit code. Mistakes of the user are thrown as Error.
  int (*run)(const Arguments& arguments);
  // Runs nets: worth the environment variables that the compute libraries read as they load
  // (process_setup.h).
  bool computes = false;
};

// All registered commands by name.
const std::vector<const Command*>& commands();
const Command* find_command(const std::string& name);

struct CommandRegistration {
  explicit CommandRegistration(Command command);
};
#define REGISTER_COMMAND(name, ...) \
  static const ::trainer::CommandRegistration registration_##name(::trainer::Command{__VA_ARGS__})

// Runs the command that `words` (the command line without the program's name) name; "--help" and "--version"
// are known everywhere. An unknown command is a config_error that names the nearest and all.
int run_command_line(const std::vector<std::string>& words);

// The command that run_command_line would run, or nullptr.
const Command* command_of(const std::vector<std::string>& words);

}  // namespace trainer
