// Mistakes in a person's files: collected, then shown together, each with its place in the text.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace trainer {

// A place in a text; without a file, the command line. Lines and columns count from 1, columns in characters;
// line 0: in the file or argument as a whole, where columns count only for the underline.
struct SourcePosition {
  std::string file;
  int line = 0;
  int column = 0;
  std::string source_line;  // of a long line, the stretch around the place
  int length = 1;           // characters to underline
  int cut_in_front = 0;     // characters of the line that are not in source_line
  bool cut_behind = false;
};

struct Diagnostic {
  enum Severity { kError, kWarning };
  Severity severity = kError;
  SourcePosition position;
  std::string subject;  // layer "conv1" (Convolution)
  std::string message;
  std::string hint;  // the remedy: did you mean "kernel_size"?
};

// One shape for all:
//
//   net.prototxt:12:5: error: layer "conv1" (Convolution): unknown field "kernal_size"; did you mean
//   "kernel_size"?
//       kernal_size: 5
//       ^~~~~~~~~~~
class Diagnostics {
 public:
  // One that is there already is not added again, whatever its hint: a net may be read for several phases.
  void add(Diagnostic diagnostic);
  void add_all(const Diagnostics& others);
  void error(const SourcePosition& position, const std::string& subject, const std::string& message,
             const std::string& hint = "");
  void warning(const SourcePosition& position, const std::string& subject, const std::string& message,
               const std::string& hint = "");

  bool has_errors() const { return error_count() > 0; }
  int error_count() const;
  const std::vector<Diagnostic>& list() const { return list_; }

  // By file and place, at most 50 of them; no closing line. "" where there are none.
  std::string render(bool color = false) const;
  // Throws a DiagnosticsError: render() and a line that counts.
  void throw_if_errors(ExitCode code = ExitCode::kConfiguration) const;

 private:
  std::vector<Diagnostic> list_;
};

// Its message is a whole listing of diagnostics, each with its place, and needs no words in front of it.
class DiagnosticsError : public Error {
 public:
  DiagnosticsError(ExitCode code, const std::string& message, Diagnostics problems)
      : Error(code, message), problems_(std::move(problems)) {}
  const Diagnostics& problems() const { return problems_; }

 private:
  Diagnostics problems_;
};

}  // namespace trainer
