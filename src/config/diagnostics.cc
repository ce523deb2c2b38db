// Collecting and showing mistakes.
#include "config/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "base/error.h"

namespace trainer {
namespace {

constexpr size_t kMostShown = 50;
constexpr int kWidestLine = 100;

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The source line with tabs as spaces, cut to a window around the caret, and the underline below it.
std::string excerpt(const SourcePosition& position) {
  if (position.source_line.empty() || position.column <= 0) return "";
  std::vector<std::string> characters;
  for (char c : position.source_line) {
    if (continues_character(c) && !characters.empty()) {
      characters.back() += c;
    } else {
      characters.push_back(static_cast<unsigned char>(c) < 0x20 ? std::string(" ") : std::string(1, c));
    }
  }
  const int total = static_cast<int>(characters.size());
  const int at = std::min(position.column - 1, total);
  const int begin = at > kWidestLine * 2 / 3 ? at - kWidestLine / 3 : 0;
  const int end = std::min(total, begin + kWidestLine);
  int indent = begin;
  while (indent < at && indent < end && characters[static_cast<size_t>(indent)] == " ") ++indent;
  std::string line = begin > 0 ? "..." : "";
  std::string under = begin > 0 ? "   " : "";
  for (int i = indent; i < end; ++i) line += characters[static_cast<size_t>(i)];
  if (end < total) line += "...";
  under += std::string(static_cast<size_t>(at - indent), ' ') + '^';
  const int tildes = std::min(position.length, std::max(1, end - at)) - 1;
  under += std::string(static_cast<size_t>(std::max(0, tildes)), '~');
  return fmt::format("    {}\n    {}\n", line, under);
}

std::string place_of(const SourcePosition& position) {
  if (position.file.empty()) return "";
  if (position.line <= 0) return position.file + ": ";
  return fmt::format("{}:{}:{}: ", position.file, position.line, position.column);
}

}  // namespace

void Diagnostics::add(Diagnostic diagnostic) { list_.push_back(std::move(diagnostic)); }

void Diagnostics::error(const SourcePosition& position, const std::string& subject, const std::string& message,
                        const std::string& hint) {
  list_.push_back({Diagnostic::kError, position, subject, message, hint});
}

void Diagnostics::warning(const SourcePosition& position, const std::string& subject, const std::string& message,
                          const std::string& hint) {
  list_.push_back({Diagnostic::kWarning, position, subject, message, hint});
}

int Diagnostics::error_count() const {
  return static_cast<int>(std::count_if(list_.begin(), list_.end(),
                                        [](const Diagnostic& d) { return d.severity == Diagnostic::kError; }));
}

std::string Diagnostics::render(bool color) const {
  std::vector<const Diagnostic*> sorted;
  for (const Diagnostic& diagnostic : list_) sorted.push_back(&diagnostic);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Diagnostic* a, const Diagnostic* b) {
    return std::tie(a->position.file, a->position.line, a->position.column) <
           std::tie(b->position.file, b->position.line, b->position.column);
  });
  const char* bold = color ? "\x1b[1m" : "";
  const char* red = color ? "\x1b[1;31m" : "";
  const char* yellow = color ? "\x1b[1;33m" : "";
  const char* plain = color ? "\x1b[0m" : "";
  std::string out;
  std::set<std::string> shown;
  size_t more = 0;
  for (const Diagnostic* d : sorted) {
    const bool error = d->severity == Diagnostic::kError;
    std::string text = fmt::format("{}{}{}{}{}: {}{}{}{}", bold, place_of(d->position), error ? red : yellow,
                                   error ? "error" : "warning", plain, d->subject, d->subject.empty() ? "" : ": ",
                                   d->message, d->hint.empty() ? "" : "; " + d->hint);
    text += "\n" + excerpt(d->position);
    if (!shown.insert(text).second) continue;
    if (shown.size() > kMostShown) {
      ++more;
    } else {
      out += text;
    }
  }
  if (more > 0) out += fmt::format("... and {} more\n", more);
  return out;
}

void Diagnostics::throw_if_errors() const {
  const int errors = error_count();
  if (errors == 0) return;
  throw Error(ExitCode::kConfiguration, fmt::format("{}{} error{}", render(), errors, errors == 1 ? "" : "s"));
}

}  // namespace trainer
