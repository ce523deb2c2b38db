// Generates the manual page and the bash completion.
#include <algorithm>

#include "base/text.h"
#include "cli/help_text.h"

namespace trainer {
namespace {

// Escapes "\", "-" and a leading "." or "'", which are special in troff.
std::string troff(const std::string& text) {
  std::string out;
  bool line_start = true;
  for (char c : text) {
    if (line_start && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
    line_start = c == '\n';
  }
  return out;
}

std::string troff_paragraphs(const std::string& text) {
  std::string out;
  bool literal = false;
  for (const std::string& line : split(text, '\n')) {
    const bool is_literal = !line.empty() && line[0] == ' ';
    if (is_literal != literal) out += is_literal ? ".nf\n" : ".fi\n";
    literal = is_literal;
    if (line.empty()) continue;
    out += (literal ? "" : ".PP\n") + troff(line) + "\n";
  }
  return literal ? out + ".fi\n" : out;
}

std::string troff_flag(const Flag& flag) {
  std::string out = ".TP\n.B " + troff(fmt::format("--{}", flag.name));
  if (flag.type != FlagType::kBool) out += "=\\fI" + troff(flag.value_name) + "\\fR";
  out += "\n" + troff(flag.help);
  if (flag.repeatable) out += " May be given several times.";
  if (flag.type != FlagType::kBool && *flag.default_value != '\0')
    out += troff(fmt::format(" Default: {}.", flag.default_value));
  return out + "\n";
}

// The `compgen` call that completes the value of a flag.
std::string completion_of_value(const Flag& flag) {
  switch (flag.type) {
    case FlagType::kFile:
    case FlagType::kFiles: return "COMPREPLY=($(compgen -f -- \"$cur\"))";
    case FlagType::kFolder: return "COMPREPLY=($(compgen -d -- \"$cur\"))";
    case FlagType::kChoice: {
      std::string choices = flag.value_name;
      std::replace(choices.begin(), choices.end(), '|', ' ');
      return fmt::format("COMPREPLY=($(compgen -W '{}' -- \"$cur\"))", choices);
    }
    default: return "COMPREPLY=()";
  }
}

}  // namespace

std::string manual_page() {
  std::string out = ".TH TRAINER 1 \"\" \"trainer " TRAINER_VERSION
                    "\"\n.SH NAME\ntrainer \\- trains networks described in "
                    "prototxt files\n.SH SYNOPSIS\n.B trainer\n.I command\n[flags]\n.SH COMMANDS\n";
  for (const Command* command : commands()) {
    out += fmt::format(".SS {}\n{}\n", command->name, troff(command->summary));
    for (const std::string& call : split(command->usage, '\n')) out += ".PP\n.B " + troff("trainer " + call) + "\n";
    if (*command->description != '\0') out += troff_paragraphs(command->description);
    for (const Flag& flag : command->flags) out += troff_flag(flag);
  }
  return out +
         ".SH EXIT STATUS\n"
         "0 done, 1 a bug in trainer, 2 command line, net or solver, 3 data or files, 4 diverged, 5 device "
         "or memory,\n"
         "128+n stopped by signal n after a clean snapshot.\n";
}

std::string completion_script() {
  std::string names, cases;
  for (const Command* command : commands()) {
    names += (names.empty() ? "" : " ") + std::string(command->name);
    std::string flags, values;
    for (const Flag& flag : command->flags) {
      const bool is_bool = flag.type == FlagType::kBool;
      flags += fmt::format("{}--{}{}", flags.empty() ? "" : " ", flag.name, is_bool ? "" : "=");
      if (!is_bool) values += fmt::format("        --{}) {} ;;\n", flag.name, completion_of_value(flag));
    }
    cases +=
        fmt::format("    {})\n      flags='{}'\n      case $flag in\n{}      esac ;;\n", command->name, flags, values);
  }
  // COMP_WORDBREAKS contains "=": bash passes --solver=FILE as three words.
  return "# bash completion for trainer; written by `trainer help --completion`.\n"
         "_trainer() {\n"
         "  local cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} flag= flags=\n"
         "  COMPREPLY=()\n"
         "  if ((COMP_CWORD == 1)); then\n"
         "    COMPREPLY=($(compgen -W '" +
         names +
         "' -- \"$cur\"))\n"
         "    return\n"
         "  fi\n"
         "  if [[ $cur == '=' ]]; then\n"
         "    flag=${COMP_WORDS[COMP_CWORD-1]} cur=\n"
         "  elif [[ ${COMP_WORDS[COMP_CWORD-1]} == '=' ]]; then\n"
         "    flag=${COMP_WORDS[COMP_CWORD-2]}\n"
         "  elif [[ ${COMP_WORDS[COMP_CWORD-1]} == -* ]]; then\n"
         "    flag=${COMP_WORDS[COMP_CWORD-1]}\n"
         "  fi\n"
         "  case $command in\n" +
         cases +
         "  esac\n"
         "  if [[ $cur == -* ]]; then\n"
         "    compopt -o nospace\n"
         "    COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"))\n"
         "  elif ((${#COMPREPLY[@]} == 0)); then\n"
         "    COMPREPLY=($(compgen -f -- \"$cur\"))\n"
         "  fi\n"
         "}\n"
         "complete -o filenames -F _trainer trainer\n";
}

}  // namespace trainer
