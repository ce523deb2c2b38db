// Command-line flags in gflags' syntax.
#include "cli/flags.h"

#include <gflags/gflags.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "base/error.h"
#include "base/shell_text.h"
#include "base/text.h"

namespace trainer {
namespace {

// A word split at its dashes and "=": "--max-iter=5" is name "max_iter", value "5".
struct FlagWord {
  std::string name;
  std::optional<std::string> value;
};

std::optional<FlagWord> as_flag(const std::string& word) {
  if (word.size() < 2 || word[0] != '-') return std::nullopt;
  const size_t begin = word[1] == '-' ? 2 : 1;
  if (begin == word.size()) return std::nullopt;
  const size_t equals = word.find('=', begin);
  FlagWord flag;
  flag.name = word.substr(begin, equals == std::string::npos ? equals : equals - begin);
  std::replace(flag.name.begin(), flag.name.end(), '-', '_');
  if (equals != std::string::npos) flag.value = word.substr(equals + 1);
  return flag;
}

std::optional<bool> parse_bool(const std::string& text) {
  for (const char* yes : {"true", "t", "yes", "y", "1"}) {
    if (text == yes) return true;
  }
  for (const char* no : {"false", "f", "no", "n", "0"}) {
    if (text == no) return false;
  }
  return std::nullopt;
}

std::optional<int64_t> as_integer(const std::string& text) {
  char* end = nullptr;
  errno = 0;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || errno != 0 || value != static_cast<int>(value)) return std::nullopt;
  return value;
}

std::optional<double> as_number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !std::isfinite(value)) return std::nullopt;
  return value;
}

void check_value(const Flag& flag, const std::string& value) {
  switch (flag.type) {
    case FlagType::kBool:
      if (!parse_bool(value)) throw config_error("--{}: \"{}\" is neither true nor false", flag.name, value);
      break;
    case FlagType::kInteger:
      if (!as_integer(value)) throw config_error("--{}: \"{}\" is not a whole number below 2^31", flag.name, value);
      break;
    case FlagType::kNumber:
      if (!as_number(value)) throw config_error("--{}: \"{}\" is not a number", flag.name, value);
      break;
    case FlagType::kChoice: {
      const std::vector<std::string> choices = split(flag.value_name, '|');
      if (std::find(choices.begin(), choices.end(), value) != choices.end()) break;
      throw config_error("--{}: \"{}\" is not one of {}{}", flag.name, value, fmt::join(choices, ", "),
                         suggest(value, choices, "; did you mean {}?"));
    }
    case FlagType::kFile:
    case FlagType::kFiles:
    case FlagType::kFolder:
      if (value.empty() && !flag.may_be_empty)
        throw config_error("--{}: the path is empty; write --{}={}", flag.name, flag.name, flag.value_name);
      break;
    case FlagType::kText: break;
  }
}

// Whether a flag belongs to gflags' own parser (--flagfile, --undefok, ...), which is not used.
bool belongs_to_gflags(const gflags::CommandLineFlagInfo& info) {
  return info.filename.find("gflags") != std::string::npos;
}

std::optional<gflags::CommandLineFlagInfo> process_flag(const std::string& name) {
  gflags::CommandLineFlagInfo info;
  if (!gflags::GetCommandLineFlagInfo(name.c_str(), &info) || belongs_to_gflags(info)) return std::nullopt;
  return info;
}

const Flag* find_flag(const std::vector<Flag>& table, const std::string& name) {
  for (const Flag& flag : table) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

[[noreturn]] void refuse_unknown(const std::vector<Flag>& table, const std::string& name) {
  std::vector<std::string> known;
  for (const Flag& flag : table) known.push_back(flag.name);
  for (const ProcessFlag& flag : process_flags()) known.push_back(flag.name);
  throw config_error("unknown flag --{}{}", name, suggest(name, known, "; did you mean --{}?"));
}

// The value of the flag at words[*i]: after "=", or the next word, to which *i then moves.
std::string value_of(const FlagWord& flag, const std::vector<std::string>& words, size_t* i) {
  if (flag.value) return *flag.value;
  if (*i + 1 >= words.size()) throw config_error("--{} needs a value", flag.name);
  return words[++*i];
}

std::string without_no(const std::string& name) {
  return name.size() > 2 && name.compare(0, 2, "no") == 0 ? name.substr(2) : "";
}

// Sets a flag of gflags' registry. Returns false if there is no such flag.
bool take_process_flag(const FlagWord& word, const std::vector<std::string>& words, size_t* i) {
  std::optional<gflags::CommandLineFlagInfo> info = process_flag(word.name);
  std::string value;
  if (info) {
    value = info->type == "bool" && !word.value ? "true" : value_of(word, words, i);
  } else {
    info = process_flag(without_no(word.name));
    if (!info || info->type != "bool" || word.value) return false;
    value = "false";
  }
  if (gflags::SetCommandLineOption(info->name.c_str(), value.c_str()).empty())
    throw config_error("--{}: \"{}\" is not a value of type {}", info->name, value, info->type);
  return true;
}

}  // namespace

Arguments Arguments::parse(const std::vector<Flag>& table, const std::vector<std::string>& words) {
  Arguments arguments;
  for (const Flag& flag : table) {
    Entry entry{&flag, {}, false};
    if (!flag.repeatable) entry.values.push_back(flag.default_value);
    arguments.entries_.emplace(flag.name, entry);
  }
  bool flags_ended = false;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::optional<FlagWord> word = flags_ended ? std::nullopt : as_flag(words[i]);
    if (!word) {
      if (!flags_ended && words[i] == "--") {
        flags_ended = true;
      } else {
        arguments.positional_.push_back(words[i]);
      }
      continue;
    }
    const Flag* flag = find_flag(table, word->name);
    std::string value;
    if (flag != nullptr) {
      value = flag->type == FlagType::kBool && !word->value ? "true" : value_of(*word, words, &i);
    } else {
      flag = find_flag(table, without_no(word->name));
      if (flag == nullptr || flag->type != FlagType::kBool || word->value) {
        if (take_process_flag(*word, words, &i)) continue;
        refuse_unknown(table, word->name);
      }
      value = "false";
    }
    check_value(*flag, value);
    Entry& entry = arguments.entries_.at(flag->name);
    if (!flag->repeatable) entry.values.clear();
    entry.values.push_back(value);
    entry.given = true;
    const bool truth = flag->type == FlagType::kBool;
    arguments.given_text_ += fmt::format("{}--{}{}", arguments.given_text_.empty() ? "" : " ", flag->name,
                                         truth && parse_bool(value).value_or(false) ? "" : "=" + shell_quoted(value));
  }
  return arguments;
}

const Arguments::Entry& Arguments::entry(const std::string& name) const {
  const auto found = entries_.find(name);
  TRAINER_ASSERT(found != entries_.end());
  return found->second;
}

bool Arguments::given(const std::string& name) const { return entry(name).given; }

bool Arguments::get_bool(const std::string& name) const {
  const Entry& found = entry(name);
  TRAINER_ASSERT(found.flag->type == FlagType::kBool);
  return parse_bool(found.values.back()).value_or(false);
}

int64_t Arguments::integer(const std::string& name) const {
  const Entry& found = entry(name);
  TRAINER_ASSERT(found.flag->type == FlagType::kInteger);
  return as_integer(found.values.back()).value_or(0);
}

double Arguments::number(const std::string& name) const {
  const Entry& found = entry(name);
  TRAINER_ASSERT(found.flag->type == FlagType::kNumber);
  return as_number(found.values.back()).value_or(0);
}

const std::string& Arguments::text(const std::string& name) const {
  const Entry& found = entry(name);
  TRAINER_ASSERT(!found.flag->repeatable);
  return found.values.back();
}

const std::vector<std::string>& Arguments::texts(const std::string& name) const {
  const Entry& found = entry(name);
  TRAINER_ASSERT(found.flag->repeatable);
  return found.values;
}

int first_word(const std::vector<const std::vector<Flag>*>& tables, const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    const std::optional<FlagWord> word = as_flag(words[i]);
    if (!word) {
      if (words[i] != "--") return static_cast<int>(i);
      return i + 1 < words.size() ? static_cast<int>(i) + 1 : -1;
    }
    bool takes_value = false;
    for (const std::vector<Flag>* table : tables) {
      const Flag* flag = find_flag(*table, word->name);
      takes_value = takes_value || (flag != nullptr && flag->type != FlagType::kBool);
    }
    const std::optional<gflags::CommandLineFlagInfo> info = process_flag(word->name);
    takes_value = takes_value || (info && info->type != "bool");
    if (takes_value && !word->value) ++i;
  }
  return -1;
}

std::vector<ProcessFlag> process_flags() {
  std::vector<gflags::CommandLineFlagInfo> all;
  gflags::GetAllFlags(&all);
  std::vector<ProcessFlag> flags;
  for (const gflags::CommandLineFlagInfo& info : all) {
    if (!belongs_to_gflags(info)) flags.push_back({info.name, info.type, info.default_value, info.description});
  }
  std::sort(flags.begin(), flags.end(), [](const ProcessFlag& a, const ProcessFlag& b) { return a.name < b.name; });
  return flags;
}

}  // namespace trainer
