// Command-line flags in gflags' syntax, from a table for each command.
//
//   -f v   -f=v   --f v   --f=v        a value; anywhere among the words; "-" and "_" in names are the same
//   --flag   --noflag   --flag=false   truth values
//   --                                 ends the flags
//
// The same table is the source of help, manual page and completion. A flag that no table has may be a
// process-wide one that a library keeps in gflags' registry (glog's log_dir, v, ...). A mistake is a
// config_error.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace trainer {

enum class FlagType { kBool, kInteger, kNumber, kText, kChoice, kFile, kFolder };

struct Flag {
  const char* name;
  FlagType type;
  const char* default_value;  // as typed; "" for none
  const char* value_name;     // what help shows for the value: "FILE"; for kChoice the choices: "stop|snapshot|none"
  const char* help;
  bool repeatable = false;  // every value counts; otherwise the last one does
};

// The flags and words of one call, checked against a table. Asking for a flag that the table lacks, or as
// another type, is a bug.
class Arguments {
 public:
  // `words` come after the command's name. The table must outlive the arguments.
  static Arguments parse(const std::vector<Flag>& table, const std::vector<std::string>& words);

  bool given(const std::string& name) const;
  bool get_bool(const std::string& name) const;
  int64_t integer(const std::string& name) const;
  double number(const std::string& name) const;
  const std::string& text(const std::string& name) const;                // also kChoice, kFile, kFolder
  const std::vector<std::string>& texts(const std::string& name) const;  // of a repeatable flag
  const std::vector<std::string>& positional() const { return positional_; }

 private:
  struct Entry {
    const Flag* flag;
    std::vector<std::string> values;
    bool given;
  };
  const Entry& entry(const std::string& name) const;

  std::map<std::string, Entry> entries_;
  std::vector<std::string> positional_;
};

// The index in `words` of the first word that is neither a flag nor a flag's value, or -1; tables of all
// commands tell which flags take a value, since the command is not known yet.
int first_word(const std::vector<const std::vector<Flag>*>& tables, const std::vector<std::string>& words);

// Process-wide flags: name, type, default and description as gflags knows them.
struct ProcessFlag {
  std::string name, type, default_value, help;
};
std::vector<ProcessFlag> process_flags();

}  // namespace trainer
