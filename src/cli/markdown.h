// Markdown: the form of all help and of docs/. Files hold it as it is; a terminal gets plain text.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainer {

// The text of a page as plain text, wrapped at `width`: headings, paragraphs, lists, tables and code of the subset that
// docs/ uses. A "\" at the end of a line breaks it. Comments vanish; a link to another page also names the command that
// shows it.
std::string render_markdown(std::string_view text, int width);

// Plain text as a paragraph of markdown: characters that would be markup are escaped, except in `code`.
std::string escape_markdown(std::string_view text);

// Plain text with paragraphs and lines of its own: lines that start with a blank become a block of code. Every line
// but the first is indented by `indent`, as part of a list's item.
std::string markdown_paragraphs(std::string_view text, int indent = 0);

// A row of a table.
std::string markdown_row(const std::vector<std::string>& cells);

}  // namespace trainer
