// The help pages of the program and of its commands.
#include "cli/help_text.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "cli/help_topics.h"
#include "cli/markdown.h"

namespace trainer {
namespace {

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

std::string command_table() {
  std::string out = markdown_row({"command", "what it does"}) + markdown_row({"---", "---"});
  for (const Command* command : commands())
    out += markdown_row({fmt::format("[{0}](commands/{0}.md)", command->name), escape_markdown(command->summary)});
  return out;
}

std::string overview_page() {
  std::vector<std::string_view> names;
  for (const Topic& topic : topics()) names.push_back(topic.name);
  return fmt::format("# trainer " TRAINER_VERSION
                     "\n\nTrains networks described in prototxt files.\n\n```text\ntrainer COMMAND [flags]\n```\n\n{}\n"
                     "`trainer help COMMAND` describes a command, `trainer help layer` the layers, `trainer help "
                     "solver` the fields of "
                     "the solver, and `trainer help set` the flag `--set`. More topics: {}.\n",
                     command_table(), fmt::join(names, ", "));
}

std::string command_page(const Command& command) {
  std::string out = fmt::format("# trainer {}: {}\n\n```text\n", command.name, escape_markdown(command.summary));
  for (const std::string& call : split(command.usage, '\n')) out += "trainer " + call + "\n";
  out += "```\n";
  if (*command.description != '\0') out += "\n" + markdown_paragraphs(command.description) + "\n";
  out += "\n" + markdown_row({"flag", "effect"}) + markdown_row({"---", "---"});
  for (const Flag& flag : command.flags)
    out += markdown_row({"`" + flag_heading(flag) + "`", escape_markdown(flag_help(flag))});
  return out +
         "\nAll commands accept the flags of glog (`--log_dir`, `--logtostderr`, `--minloglevel`, `--v`, ...); "
         "`trainer help --log_flags` lists them.\n";
}

}  // namespace trainer
