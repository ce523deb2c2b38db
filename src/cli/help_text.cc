// Help for a terminal: overview and single commands.
#include "cli/help_text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"

namespace trainer {
namespace {

constexpr int kFlagColumn = 28;

std::string flag_heading(const Flag& flag) {
  if (flag.type == FlagType::kBool)
    return std::string(flag.default_value) == "true" ? fmt::format("--no{}", flag.name)
                                                     : fmt::format("--{}", flag.name);
  return fmt::format("--{}={}", flag.name, flag.value_name);
}

std::string flag_help(const Flag& flag) {
  std::string text = flag.help;
  if (flag.repeatable) text += " May be given several times.";
  if (flag.type != FlagType::kBool && *flag.default_value != '\0')
    text += fmt::format(" Default: {}.", flag.default_value);
  return text;
}

}  // namespace

int terminal_width(FILE* stream) {
  winsize size{};
  if (isatty(fileno(stream)) == 0 || ioctl(fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 100;
  return std::clamp(static_cast<int>(size.ws_col), 40, 110);
}

std::string wrap(const std::string& text, int width, int indent) {
  const std::string margin(static_cast<size_t>(indent), ' ');
  std::string out;
  for (const std::string& paragraph : split(text, '\n')) {
    if (paragraph.empty() || paragraph[0] == ' ') {
      out += paragraph.empty() ? "\n" : margin + paragraph + "\n";
      continue;
    }
    std::string line = margin;
    bool blank = true;
    for (const std::string& word : split(paragraph, ' ')) {
      if (!blank && static_cast<int>(line.size() + 1 + word.size()) > width) {
        out += line + "\n";
        line = margin;
        blank = true;
      }
      if (!blank) line += ' ';
      line += word;
      blank = false;
    }
    out += line + "\n";
  }
  return out;
}

std::string two_columns(const std::string& name, const std::string& text, int column, int width) {
  const std::string body = wrap(text, width, column);
  if (static_cast<int>(name.size()) + 4 > column) return "  " + name + "\n" + body;
  const size_t blank = std::min(body.size(), static_cast<size_t>(column));
  return fmt::format("  {:<{}}", name, column - 2) + body.substr(blank);
}

std::string overview_text(int width) {
  std::string out =
      "trainer " TRAINER_VERSION ": trains networks described in prototxt files.\n\nusage: trainer COMMAND [flags]\n\n";
  for (const Command* command : commands()) out += two_columns(command->name, command->summary, 16, width);
  out += "\n";
  out += wrap(
      "`trainer help COMMAND` describes a command, `trainer help layer` the layers, `trainer help solver` the fields "
      "of the solver.",
      width, 0);
  return out;
}

std::string command_text(const Command& command, int width) {
  std::string out = "trainer " + std::string(command.name) + ": " + command.summary + "\n\n";
  const char* lead = "usage: trainer ";
  for (const std::string& call : split(command.usage, '\n')) {
    out += lead + call + "\n";
    lead = "       trainer ";
  }
  if (*command.description != '\0') out += "\n" + wrap(command.description, width, 0);
  if (!command.flags.empty()) out += "\nflags:\n";
  for (const Flag& flag : command.flags) out += two_columns(flag_heading(flag), flag_help(flag), kFlagColumn, width);
  out +=
      "\n" + wrap(
                 "All commands accept the flags of glog (--log_dir, --logtostderr, --minloglevel, --v, ...); `trainer "
                 "help --log-flags` lists them.",
                 width, 0);
  return out;
}

}  // namespace trainer
