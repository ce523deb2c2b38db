// The log through glog: lines on the standard error in Caffe's form, and glog's flags.
//
// A line begins with "I1121 08:40:01.123456 25210 file.cc:12] ", without the year.
#pragma once

#include <string>

namespace trainer {

// Starts glog and attaches it to the log, once in the process. Lines go to the standard error; with --log_dir also to
// files in that folder.
void set_up_logging(const char* program);
// After the flags are read: --log_dir without --logtostderr means both files and standard error.
void apply_log_flags();
// Whether the user asked for log lines on the standard error, by flag or environment.
bool log_lines_demanded();

// Keeps log lines off the standard error, and out of /tmp, for its own lifetime. Files of --log_dir get them.
class QuietLog {
 public:
  QuietLog();
  ~QuietLog();
  QuietLog(const QuietLog&) = delete;
  QuietLog& operator=(const QuietLog&) = delete;

 private:
  const bool logtostderr_, alsologtostderr_;
  const int stderrthreshold_;
};

}  // namespace trainer
