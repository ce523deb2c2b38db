// The registry of commands, and the choice of the command for a command line.
#include "cli/command.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "cli/glog_sink.h"
#include "cli/help_text.h"
#include "cli/markdown.h"
#include "ranks/launcher.h"

namespace trainer {
namespace {

std::vector<const Command*>& registry() {
  static auto* list = new std::vector<const Command*>;
  return *list;
}

int command_index(const std::vector<std::string>& words) {
  std::vector<const std::vector<Flag>*> tables;
  for (const Command* command : commands()) tables.push_back(&command->flags);
  return first_word(tables, words);
}

// Whether a flag of this name comes before the "--" that ends the flags.
bool asks_for(const std::vector<std::string>& words, const char* name) {
  for (const std::string& word : words) {
    if (word == "--") return false;
    if (word.size() > 1 && word[0] == '-' && word.substr(word[1] == '-' ? 2 : 1) == name) return true;
  }
  return false;
}

Arguments parse_flags(const Command& command, const std::vector<std::string>& words) {
  try {
    return Arguments::parse(command.flags, words);
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}\n`trainer help {}` lists the flags.", error.what(), command.name));
  }
}

// Without ranks, each process of a launcher would do all the work of the command.
bool leaves_to_rank_0(const Command& command) {
  return !command.joins && !command.runs_on_all_ranks && find_rank(RanksFlag::kAuto).rank != 0;
}

}  // namespace

CommandRegistration::CommandRegistration(Command command) {
  std::vector<const Command*>& list = registry();
  const Command* kept = new Command(std::move(command));
  const auto place = std::lower_bound(list.begin(), list.end(), kept, [](const Command* a, const Command* b) {
    return std::strcmp(a->name, b->name) < 0;
  });
  list.insert(place, kept);
}

const std::vector<const Command*>& commands() { return registry(); }

const Command* find_command(const std::string& name) {
  for (const Command* command : commands()) {
    if (command->name == name) return command;
  }
  return nullptr;
}

Arguments parse_command(const Command& command, const std::vector<std::string>& words) {
  Arguments arguments = parse_flags(command, words);
  if (command.flags_only && !arguments.positional().empty())
    throw UsageError("unexpected word: " + arguments.positional().front());
  return arguments;
}

const Command* command_of(const std::vector<std::string>& words) {
  const int index = command_index(words);
  return index < 0 ? nullptr : find_command(words[static_cast<size_t>(index)]);
}

int run_command_line(const std::vector<std::string>& words) {
  const int index = command_index(words);
  if (asks_for(words, "version")) {
    std::puts("trainer " TRAINER_VERSION);
    return 0;
  }
  const bool help = asks_for(words, "help") || asks_for(words, "h");
  if (index < 0) {
    const std::string text = render_markdown(overview_page(), terminal_width(help ? stdout : stderr));
    std::fputs(text.c_str(), help ? stdout : stderr);
    return help ? 0 : static_cast<int>(ExitCode::kConfiguration);
  }
  const std::string& name = words[static_cast<size_t>(index)];
  const Command* command = find_command(name);
  if (command == nullptr) {
    std::vector<std::string> names;
    for (const Command* known : commands()) names.push_back(known->name);
    throw config_error("unknown command \"{}\"{}\ncommands: {}", name, suggest(name, names, "; did you mean {}?"),
                       fmt::join(names, ", "));
  }
  if (help) {
    std::fputs(render_markdown(command_page(*command), terminal_width(stdout)).c_str(), stdout);
    return 0;
  }
  std::vector<std::string> rest = words;
  rest.erase(rest.begin() + index);
  try {
    const Arguments arguments = parse_command(*command, rest);
    if (leaves_to_rank_0(*command)) return 0;
    apply_log_flags();
    return command->run(arguments);
  } catch (const UsageError& error) {
    throw config_error("{}\nusage: trainer {}\nSee `trainer help {}`.", error.what(),
                       fmt::join(split(command->usage, '\n'), "\n       trainer "), command->name);
  }
}

}  // namespace trainer
