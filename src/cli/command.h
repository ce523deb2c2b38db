// The commands of `trainer`. Each has a file (command_<name>.cc) that registers it with its table of flags.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "cli/flags.h"

namespace trainer {

// A command line that does not match the usage of a command, which is shown with the message.
class UsageError : public Error {
 public:
  explicit UsageError(const std::string& message) : Error(ExitCode::kConfiguration, message) {}
};

struct Command {
  const char* name;
  const char* summary;      // one line for `trainer help`
  const char* usage;        // the forms of its command line, one per line: "train --solver=FILE [flags]"
  const char* description;  // paragraphs separated by empty lines; lines that start with a blank are not wrapped
  std::vector<Flag> flags;
  // Runs the command and returns the exit code. Throws an Error for mistakes of the user.
  int (*run)(const Arguments& arguments);
  // The command runs nets, so the process sets up the compute libraries (process_setup.h).
  bool computes = false;
  // The command line has flags only: a word is a UsageError.
  bool flags_only = false;
  // Several processes that a launcher starts (ranks/launcher.h) run the command together.
  bool joins = false;
  // The command runs in each process of a launcher. Commands with neither run on rank 0 only.
  bool runs_on_all_ranks = false;
};

// All registered commands by name.
const std::vector<const Command*>& commands();
const Command* find_command(const std::string& name);

struct CommandRegistration {
  explicit CommandRegistration(Command command);
};
#define REGISTER_COMMAND(name, ...) \
  static const ::trainer::CommandRegistration registration_##name(::trainer::Command{__VA_ARGS__})

// Runs the command of a command line (without the name of the program). All commands accept --help and --version. An
// unknown command is a config_error that names the nearest one and all others.
int run_command_line(const std::vector<std::string>& words);

// The flags and words of a command line after the command's name, checked against the command's table.
Arguments parse_command(const Command& command, const std::vector<std::string>& words);

// The command that run_command_line would run, or nullptr.
const Command* command_of(const std::vector<std::string>& words);

}  // namespace trainer
