// Collects and formats errors and warnings.
#include "config/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace trainer {
namespace {

constexpr size_t kMostShown = 50;
constexpr int kWidestLine = 100;

constexpr size_t kLongestText = 2000;  // of a message or hint, which may quote a file

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

std::string shortened(const std::string& text) {
  if (text.size() <= kLongestText) return text;
  size_t end = kLongestText;
  while (end > 0 && continues_character(text[end])) --end;
  return text.substr(0, end) + "...";
}

// Splits text into characters; a tab or another control character becomes a space.
std::vector<std::string> characters_of(const std::string& text) {
  std::vector<std::string> characters;
  for (char c : text) {
    if (continues_character(c) && !characters.empty()) {
      characters.back() += c;
    } else {
      characters.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7F ? " " : std::string(1, c));
    }
  }
  return characters;
}

// The source line without its indentation, cut to a window around the position, and the underline below it.
std::string excerpt(const SourcePosition& position) {
  const int at_column = position.column - 1 - position.cut_before;
  if (position.source_line.empty() || at_column < 0) return "";
  const std::vector<std::string> characters = characters_of(position.source_line);
  const int total = static_cast<int>(characters.size());
  const int at = std::min(at_column, total);
  int begin = total > kWidestLine && at > kWidestLine * 2 / 3 ? at - kWidestLine / 3 : 0;
  const int end = std::min(total, begin + kWidestLine);
  const bool cut_before = begin > 0 || position.cut_before > 0;
  while (begin < at && begin < end && characters[static_cast<size_t>(begin)] == " ") ++begin;
  std::string line = cut_before ? "..." : "";
  std::string under(line.size() + static_cast<size_t>(at - begin), ' ');
  for (int i = begin; i < end; ++i) line += characters[static_cast<size_t>(i)];
  if (end < total || position.cut_after) line += "...";
  under += '^';
  const int tildes = std::min(position.length, std::max(1, end - at)) - 1;
  under += std::string(static_cast<size_t>(std::max(0, tildes)), '~');
  return fmt::format("    {}\n    {}\n", line, under);
}

std::string place_of(const SourcePosition& position) {
  if (position.file.empty()) return "trainer: ";
  if (position.line <= 0) return position.file + ": ";
  return fmt::format("{}:{}:{}: ", position.file, position.line, position.column);
}

bool same_place(const SourcePosition& a, const SourcePosition& b) {
  return std::tie(a.file, a.line, a.column, a.source_line) == std::tie(b.file, b.line, b.column, b.source_line);
}

}  // namespace

bool Diagnostics::contains(const Diagnostic& diagnostic) const {
  return std::any_of(list_.begin(), list_.end(), [&](const Diagnostic& other) {
    return same_place(other.position, diagnostic.position) && other.severity == diagnostic.severity &&
           other.subject == diagnostic.subject && other.message == diagnostic.message;
  });
}

void Diagnostics::add(Diagnostic diagnostic) {
  if (!contains(diagnostic)) list_.push_back(std::move(diagnostic));
}

void Diagnostics::add_all(const Diagnostics& others) {
  for (const Diagnostic& diagnostic : others.list_) add(diagnostic);
}

void Diagnostics::error(const SourcePosition& position, const std::string& subject, const std::string& message,
                        const std::string& hint, ExitCode code) {
  add({Diagnostic::kError, position, subject, message, hint, code, {}});
}

void Diagnostics::warning(const SourcePosition& position, const std::string& subject, const std::string& message,
                          const std::string& hint) {
  add({Diagnostic::kWarning, position, subject, message, hint, ExitCode::kConfiguration, {}});
}

int Diagnostics::error_count() const {
  return static_cast<int>(
      std::count_if(list_.begin(), list_.end(), [](const Diagnostic& d) { return d.severity == Diagnostic::kError; }));
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
  for (size_t i = 0; i < sorted.size() && i < kMostShown; ++i) {
    const Diagnostic& d = *sorted[i];
    const bool error = d.severity == Diagnostic::kError;
    out += fmt::format("{}{}{}{}{}: {}{}{}{}\n", bold, place_of(d.position), error ? red : yellow,
                       error ? "error" : "warning", plain, shortened(d.subject), d.subject.empty() ? "" : ": ",
                       shortened(d.message), d.hint.empty() ? "" : "; " + shortened(d.hint));
    out += excerpt(d.position);
    for (const std::string& example : d.examples) out += fmt::format("    {}\n", shortened(example));
  }
  if (sorted.size() > kMostShown) out += fmt::format("... and {} more\n", sorted.size() - kMostShown);
  return out;
}

void Diagnostics::throw_if_errors() const {
  const int errors = error_count();
  if (errors == 0) return;
  const bool data_only = std::all_of(list_.begin(), list_.end(), [](const Diagnostic& d) {
    return d.severity != Diagnostic::kError || d.code == ExitCode::kData;
  });
  const ExitCode code = data_only ? ExitCode::kData : ExitCode::kConfiguration;
  throw DiagnosticsError(code, fmt::format("{}{} error{}", render(), errors, errors == 1 ? "" : "s"), *this);
}

}  // namespace trainer
