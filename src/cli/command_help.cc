// trainer help: help on commands, layers and messages; manual page and shell completion.
#include <cstdio>

#include "base/error.h"
#include "cli/command.h"
#include "cli/help_schema.h"
#include "cli/help_text.h"

namespace trainer {
namespace {

std::string log_flags_text(int width) {
  std::string out;
  for (const ProcessFlag& flag : process_flags())
    out += fmt::format("  --{} ({}, default {})\n", flag.name, flag.type,
                       flag.default_value.empty() ? "\"\"" : flag.default_value) +
           wrap(flag.help, width, 6);
  return out;
}

std::string topic_text(const std::vector<std::string>& words, int width) {
  if (words.empty()) return overview_text(width);
  if (words[0] == "layer" || words[0] == "layers")
    return words.size() == 1 ? layer_list_text(width) : layer_text(words[1], width);
  if (words.size() > 1) throw UsageError(fmt::format("\"{}\" takes no further word", words[0]));
  if (words[0] == "set") return set_text(width);
  const Command* command = find_command(words[0]);
  return command != nullptr ? command_text(*command, width) : message_text(words[0], width);
}

int run_help(const Arguments& arguments) {
  const int width = terminal_width(stdout);
  std::string text;
  if (arguments.get_bool("man")) {
    text = manual_page();
  } else if (arguments.get_bool("completion")) {
    text = completion_script();
  } else if (arguments.get_bool("log_flags")) {
    text = log_flags_text(width);
  } else {
    text = topic_text(arguments.positional(), width);
  }
  std::fputs(text.c_str(), stdout);
  return 0;
}

REGISTER_COMMAND(help, .name = "help", .summary = "describes commands, layers and the fields of prototxt files",
                 .usage = "help [COMMAND]\nhelp layer [TYPE]\nhelp solver | net | MESSAGE\nhelp set",
                 .description =
                     "Without words, lists all commands. MESSAGE is a message of the schema; \"convolution\" means "
                     "ConvolutionParameter. `set` describes the flag --set.",
                 .flags =
                     {
                         {"man", FlagType::kBool, "false", "", "Write the manual page: trainer help --man | man -l -"},
                         {"completion", FlagType::kBool, "false", "",
                          "Write the bash completion: source <(trainer help --completion)"},
                         {"log_flags", FlagType::kBool, "false", "",
                          "List the flags of the log, which all commands accept."},
                     },
                 .run = run_help);

}  // namespace
}  // namespace trainer
