// Errors and warnings about a user's files: collected, then shown together, each with its position in the text.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace trainer {

// A position in a text, or on the command line if `file` is empty. Lines and columns start at 1; columns count
// characters. Line 0 is the file or argument as a whole; the column is then only used for the underline.
struct SourcePosition {
  std::string file;
  int line = 0;
  int column = 0;
  std::string source_line;  // the line; of a long line, only the part around the position
  int length = 1;           // characters to underline
  int cut_before = 0;       // characters of the line that precede source_line
  bool cut_after = false;
};

struct Diagnostic {
  enum Severity { kError, kWarning };
  Severity severity = kError;
  SourcePosition position;
  std::string subject;  // layer "conv1" (Convolution)
  std::string message;
  std::string hint;  // the remedy: did you mean "kernel_size"?
  ExitCode code = ExitCode::kConfiguration;
  std::vector<std::string> examples;  // the first few of several cases, each shown in a line of its own
};

// All diagnostics have this form:
//
//   net.prototxt:12:5: error: layer "conv1" (Convolution): unknown field "kernal_size"; did you mean "kernel_size"?
//       kernal_size: 5
//       ^~~~~~~~~~~
class Diagnostics {
 public:
  // Ignores a diagnostic that differs from an earlier one only in its hint, because a net may be read for several
  // phases.
  void add(Diagnostic diagnostic);
  void add_all(const Diagnostics& others);
  // Whether such a diagnostic was added, apart from its hint.
  bool contains(const Diagnostic& diagnostic) const;
  void error(const SourcePosition& position, const std::string& subject, const std::string& message,
             const std::string& hint = "", ExitCode code = ExitCode::kConfiguration);
  void warning(const SourcePosition& position, const std::string& subject, const std::string& message,
               const std::string& hint = "");

  bool has_errors() const { return error_count() > 0; }
  int error_count() const;
  const std::vector<Diagnostic>& list() const { return list_; }

  // All diagnostics sorted by file and position, at most 50, without a closing line; "" if there are none.
  std::string render(bool color = false) const;
  // Throws a DiagnosticsError if there are errors: render() and a line with their number. Its code is kData if that is
  // the code of every error, else kConfiguration.
  void throw_if_errors() const;

 private:
  std::vector<Diagnostic> list_;
};

// Its message is a complete listing of diagnostics with positions, so callers print it without a prefix.
class DiagnosticsError : public Error {
 public:
  DiagnosticsError(ExitCode code, const std::string& message, Diagnostics problems)
      : Error(code, message), problems_(std::move(problems)) {}
  const Diagnostics& problems() const { return problems_; }

 private:
  Diagnostics problems_;
};

}  // namespace trainer
