// trainer help: help on commands, layers, messages and the pages of docs/; manual page, completion and reference.
#include <cstdio>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/help_reference.h"
#include "cli/help_schema.h"
#include "cli/help_text.h"
#include "cli/help_topics.h"
#include "cli/markdown.h"
#include "layers/layer.h"

namespace trainer {
namespace {

std::string log_flags_page() {
  std::string out;
  for (const ProcessFlag& flag : process_flags())
    out += fmt::format("- --{} ({}, default {})\\\n  {}\n", flag.name, flag.type,
                       flag.default_value.empty() ? "\"\"" : escape_markdown(flag.default_value),
                       escape_markdown(flag.help));
  return out;
}

// Throws the error for a name that nothing has.
[[noreturn]] void fail_unknown(const std::string& name) {
  std::vector<std::string> names = {"layer", "set"};
  for (const Command* command : commands()) names.push_back(command->name);
  for (const LayerType* layer : layer_types()) names.push_back(layer->type);
  for (const auto& more : {topic_names(), message_names(), field_names()})
    names.insert(names.end(), more.begin(), more.end());
  throw config_error(
      "no command, layer, message, field or topic is called \"{}\"{}\n`trainer help` lists commands and topics.", name,
      suggest(name, names, "; did you mean {}?"));
}

std::string page_of(const std::vector<std::string>& words) {
  if (words.empty()) return overview_page();
  const std::string& name = words[0];
  if (words.size() > 2) throw UsageError(fmt::format("\"{}\" takes one more argument at most", name));
  if (name == "layer" || name == "layers")
    return words.size() == 1 ? layer_table() + "\n`trainer help layer TYPE` describes one.\n" : layer_page(words[1]);
  if (words.size() > 1) throw UsageError(fmt::format("\"{}\" takes no more arguments", name));
  if (name == "set") return set_page();
  if (const Command* command = find_command(name)) return command_page(*command);
  if (const Topic* topic = find_topic(name)) return std::string(topic->text);
  for (const auto& page : {message_page(name), field_page(name)})
    if (!page.empty()) return page;
  for (const LayerType* layer : layer_types())
    if (lower(layer->type) == lower(name)) return layer_page(name);
  fail_unknown(name);
}

int run_help(const Arguments& arguments) {
  if (arguments.given("markdown")) {
    if (!arguments.positional().empty()) throw UsageError("--markdown=FOLDER names a folder and takes no topic");
    write_reference(arguments.text("markdown"));
    return 0;
  }
  std::string text;
  if (arguments.get_bool("man")) {
    text = manual_page();
  } else if (arguments.get_bool("completion")) {
    text = completion_script();
  } else {
    const bool log_flags = arguments.get_bool("log_flags");
    text = render_markdown(log_flags ? log_flags_page() : page_of(arguments.positional()), terminal_width(stdout));
  }
  std::fputs(text.c_str(), stdout);
  return 0;
}

REGISTER_COMMAND(
    help, .name = "help", .summary = "describes commands, layers, the fields of prototxt files and topics",
    .usage = "help [COMMAND | TOPIC]\nhelp layer [TYPE]\nhelp solver | net | MESSAGE | FIELD\nhelp set",
    .description =
        "Without words, lists all commands and topics. MESSAGE is a message of the schema; \"convolution\" means "
        "ConvolutionParameter. FIELD is a field of any message. `set` describes the flag --set.",
    .flags =
        {
            {"man", FlagType::kBool, "false", "", "Write the manual page: trainer help --man | man -l -"},
            {"completion", FlagType::kBool, "false", "",
             "Write the bash completion: source <(trainer help --completion)"},
            {"markdown", FlagType::kFolder, "", "FOLDER",
             "Write the reference of commands, layers, net and solver as markdown into FOLDER. Replaces earlier pages, "
             "but no other file."},
            {"log_flags", FlagType::kBool, "false", "", "List the flags of the log, which all commands accept."},
        },
    .run = run_help, .runs_on_all_ranks = true);

}  // namespace
}  // namespace trainer
