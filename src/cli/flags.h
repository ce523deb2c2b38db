// Command-line flags in gflags' syntax, from a table for each command.
//
//   -f v   -f=v   --f v   --f=v        a value; anywhere among the words; "-" and "_" in names are the same
//   --flag   --noflag   --flag=false   truth values
//   --                                 ends the flags
//
// The same table is the source of help, manual page and completion. Other flags are looked up in gflags' registry,
// which has those of glog (log_dir, v, ...). A mistake is a config_error.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace trainer {

// kFile and kFolder are paths, kFiles is a comma list of paths. An empty path is a mistake.
enum class FlagType { kBool, kInteger, kNumber, kText, kChoice, kFile, kFiles, kFolder };

struct Flag {
  const char* name;
  FlagType type;
  const char* default_value;  // as typed; "" for none
  const char* value_name;     // the value in help texts: "FILE"; for kChoice the choices: "stop|snapshot|none"
  const char* help;
  bool repeatable = false;    // keep all values; otherwise the last one
  bool may_be_empty = false;  // of a path
};

// The flags and words of a command line, checked against a table. To ask for a flag that the table lacks, or with
// another type, is a bug.
class Arguments {
 public:
  // `words` come after the command's name. The table must outlive the arguments.
  static Arguments parse(const std::vector<Flag>& table, const std::vector<std::string>& words);

  bool given(const std::string& name) const;
  bool get_bool(const std::string& name) const;
  int64_t integer(const std::string& name) const;
  double number(const std::string& name) const;
  const std::string& text(const std::string& name) const;                // also kChoice and paths
  const std::vector<std::string>& texts(const std::string& name) const;  // of a repeatable flag
  const std::vector<std::string>& positional() const { return positional_; }
  // The flags that were given, in their order, as words for a shell: "--solver=a.prototxt --set='max_iter=5'".
  const std::string& given_text() const { return given_text_; }

 private:
  struct Entry {
    const Flag* flag;
    std::vector<std::string> values;
    bool given;
  };
  const Entry& entry(const std::string& name) const;

  std::map<std::string, Entry> entries_;
  std::vector<std::string> positional_;
  std::string given_text_;
};

// The index in `words` of the first word that is neither a flag nor the value of a flag, or -1. The command is not
// known yet, so the tables of all commands determine which flags have values.
int first_word(const std::vector<const std::vector<Flag>*>& tables, const std::vector<std::string>& words);

// The flags in gflags' registry.
struct ProcessFlag {
  std::string name, type, default_value, help;
};
std::vector<ProcessFlag> process_flags();

}  // namespace trainer
