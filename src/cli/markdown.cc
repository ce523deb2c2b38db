// Renders the markdown that docs/ and the help pages use.
#include "cli/markdown.h"

#include <algorithm>

#include "base/text.h"

namespace trainer {
namespace {

using Lines = std::vector<std::string>;
constexpr int kCodeIndent = 4;

bool starts_with(std::string_view line, std::string_view prefix) { return line.substr(0, prefix.size()) == prefix; }

// Columns of a terminal: bytes that begin a character.
int columns_of(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string joined(const Lines& lines) {
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  return out;
}

Lines wrapped(std::string_view paragraph, int width) {
  Lines lines;
  int used = 0;
  for (const std::string& word : split(paragraph, ' ')) {
    const int columns = columns_of(word);
    if (lines.empty() || used + 1 + columns > width) {
      lines.push_back(word);
      used = columns;
    } else {
      lines.back() += " " + word;
      used += 1 + columns;
    }
  }
  return lines;
}

// "(trainer help gpus)" for a link to gpus.md, the address itself for one to the web.
std::string link_note(std::string_view target) {
  if (starts_with(target, "http")) return " (" + std::string(target) + ")";
  const size_t end = target.find(".md");
  if (end == std::string_view::npos || target.find('/') != std::string_view::npos) return "";
  return " (trainer help " + std::string(target.substr(0, end)) + ")";
}

std::string without_markup(std::string_view text) {
  std::string out;
  bool code = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '`') {
      code = !code;
    } else if (c == '\\' && i + 1 < text.size() && (!code || text[i + 1] == '|')) {
      out += text[++i];
    } else if (!code && starts_with(text.substr(i), "**")) {
      ++i;
    } else if (const size_t close = std::min(text.find(']', i), text.size());
               !code && c == '[' && starts_with(text.substr(close), "](")) {
      const size_t end = text.find(')', close);
      out += without_markup(text.substr(i + 1, close - i - 1)) + link_note(text.substr(close + 2, end - close - 2));
      i = end;
    } else {
      out += c;
    }
  }
  return out;
}

std::vector<std::string> cells_of(std::string_view row) {
  std::vector<std::string> cells(1);
  for (size_t i = 1; i < row.size(); ++i) {
    if (row[i] == '\\' && i + 1 < row.size()) {
      cells.back() += {row[i], row[i + 1]};
      ++i;
    } else if (row[i] == '|') {
      cells.emplace_back();
    } else {
      cells.back() += row[i];
    }
  }
  cells.pop_back();  // after the last "|"
  for (std::string& cell : cells) cell = without_markup(trim(cell));
  return cells;
}

int longest_word(const std::string& cell) {
  int longest = 0;
  for (const std::string& word : split(cell, ' ')) longest = std::max(longest, columns_of(word));
  return longest;
}

// Columns get the width of their cells. If the table is wider than the terminal, the widest columns shrink.
std::vector<int> column_widths(const std::vector<std::vector<std::string>>& rows, int width) {
  std::vector<int> widths, least;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    least.resize(widths.size());
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], columns_of(row[i]));
      least[i] = std::max(least[i], longest_word(row[i]));
    }
  }
  int excess = -width - 2;
  for (const int column : widths) excess += column + 2;
  for (; excess > 0; --excess) {
    size_t widest = widths.size();
    for (size_t i = 0; i < widths.size(); ++i) {
      if (widths[i] > least[i] && (widest == widths.size() || widths[i] > widths[widest])) widest = i;
    }
    if (widest == widths.size()) break;
    --widths[widest];
  }
  return widths;
}

Lines row_lines(const std::vector<std::string>& row, const std::vector<int>& widths) {
  Lines out;
  int margin = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    const Lines cell = wrapped(row[i], widths[i]);
    out.resize(std::max(out.size(), cell.size()));
    for (size_t line = 0; line < cell.size(); ++line) {
      if (cell[line].empty()) continue;
      out[line] += std::string(static_cast<size_t>(margin - columns_of(out[line])), ' ') + cell[line];
    }
    margin += widths[i] + 2;
    for (std::string& line : out) margin = std::max(margin, columns_of(line) + 2);
  }
  return out;
}

Lines table_lines(const Lines& source, int width) {
  std::vector<std::vector<std::string>> rows;
  for (size_t i = 0; i < source.size(); ++i) {
    if (i != 1) rows.push_back(cells_of(source[i]));  // the second row is the line below the headings
  }
  const std::vector<int> widths = column_widths(rows, width);
  std::vector<std::string> rule;
  for (const int column : widths) rule.emplace_back(static_cast<size_t>(column), '-');
  rows.insert(rows.begin() + 1, rule);
  Lines out;
  for (const auto& row : rows) {
    for (std::string& line : row_lines(row, widths)) out.push_back(std::move(line));
  }
  return out;
}

class Renderer {
 public:
  Renderer(Lines source, int width) : source_(std::move(source)), width_(width) {}

  Lines render() {
    while (at_ < source_.size()) {
      const std::string& line = source_[at_];
      if (trim(line).empty()) {
        gap_ = true;
        ++at_;
      } else if (starts_with(line, "<!--")) {
        take([](const std::string& each) { return each.find("-->") == std::string::npos; });
        ++at_;
      } else if (starts_with(line, "```")) {
        ++at_;
        code(take([](const std::string& each) { return each != "```"; }));
        ++at_;
      } else if (starts_with(line, "#")) {
        heading(line);
      } else if (starts_with(line, "|")) {
        add(table_lines(take([](const std::string& each) { return starts_with(each, "|"); }), width_));
      } else if (starts_with(line, "- ")) {
        item();
      } else {
        paragraph();
      }
    }
    return std::move(out_);
  }

 private:
  template <typename Condition>
  Lines take(Condition belongs) {
    Lines taken;
    while (at_ < source_.size() && belongs(source_[at_])) taken.push_back(source_[at_++]);
    return taken;
  }

  void add(const Lines& lines) {
    if (gap_ && !out_.empty()) out_.emplace_back();
    gap_ = false;
    out_.insert(out_.end(), lines.begin(), lines.end());
  }

  void code(Lines lines) {
    for (std::string& line : lines) {
      if (!line.empty()) line.insert(0, kCodeIndent, ' ');
    }
    add(lines);
  }

  void heading(const std::string& line) {
    const size_t level = line.find(' ');
    const std::string text = without_markup(line.substr(level + 1));
    add({text, std::string(static_cast<size_t>(columns_of(text)), level == 1 ? '=' : '-')});
    ++at_;
  }

  void item() {
    Lines lines{source_[at_++].substr(2)};
    const Lines rest = take([](const std::string& each) { return each.empty() || starts_with(each, "  "); });
    for (const std::string& line : rest) lines.push_back(line.empty() ? "" : line.substr(2));
    const bool gap_after = lines.back().empty();
    Lines text = Renderer(lines, width_ - 2).render();
    for (size_t i = 0; i < text.size(); ++i) {
      if (!text[i].empty()) text[i].insert(0, i == 0 ? "- " : "  ");
    }
    add(text);
    gap_ = gap_after;
  }

  void paragraph() {
    const Lines lines = take([](const std::string& each) {
      return !trim(each).empty() && !starts_with(each, "```") && !starts_with(each, "#") && !starts_with(each, "|") &&
             !starts_with(each, "- ");
    });
    std::string text;
    Lines out;
    for (const std::string& line : lines) {
      const bool ends = line.back() == '\\';
      text += (text.empty() ? "" : " ") + (ends ? line.substr(0, line.size() - 1) : line);
      if (!ends && &line != &lines.back()) continue;
      for (std::string& each : wrapped(without_markup(text), width_)) out.push_back(std::move(each));
      text.clear();
    }
    add(out);
  }

  const Lines source_;
  const int width_;
  size_t at_ = 0;
  bool gap_ = false;  // a blank line came before
  Lines out_;
};

}  // namespace

std::string render_markdown(std::string_view text, int width) {
  return joined(Renderer(split(text, '\n'), width).render());
}

std::string escape_markdown(std::string_view text) {
  std::string out;
  bool code = false;
  for (const char c : text) {
    if (c == '`') code = !code;
    if (!code && (c == '*' || c == '<' || c == '[' || c == '\\')) out += '\\';
    out += c;
  }
  return out;
}

std::string markdown_paragraphs(std::string_view text, int indent) {
  Lines lines;
  bool code = false;
  const auto after_blank = [&] { return lines.empty() || lines.back().empty(); };
  for (const std::string& line : split(text, '\n')) {
    const bool literal = starts_with(line, " ");
    if (literal && !code) {
      if (!after_blank()) lines.emplace_back();
      lines.emplace_back("```text");
    } else if (code && !literal) {
      lines.insert(lines.end(), {"```", ""});
    } else if (!code && !after_blank() && !line.empty()) {
      lines.back() += '\\';
    }
    if (literal) {
      lines.push_back(line.substr(starts_with(line, "  ") ? 2 : 1));
    } else if (!line.empty() || !after_blank()) {
      lines.push_back(escape_markdown(line));
    }
    code = literal;
  }
  if (code) lines.emplace_back("```");
  std::string out;
  for (const std::string& line : lines) {
    if (!out.empty()) out += '\n';
    if (!out.empty() && !line.empty()) out.append(static_cast<size_t>(indent), ' ');
    out += line;
  }
  return out;
}

std::string markdown_row(const std::vector<std::string>& cells) {
  std::string out = "|";
  for (const std::string& cell : cells) {
    out += ' ';
    for (const char c : cell) out += c == '|' ? "\\|" : std::string(1, c);
    out += " |";
  }
  return out + "\n";
}

}  // namespace trainer
