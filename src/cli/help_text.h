// Help, manual page and shell completion, all made from the commands' tables.
#pragma once

#include <cstdio>
#include <string>

#include "cli/command.h"

namespace trainer {

// Columns to wrap at: the terminal's where `stream` is one (at most 110), else 100.
int terminal_width(FILE* stream);

// Paragraphs of `text` wrapped at `width` and indented; lines that start with a blank stay lines of their
// own.
std::string wrap(const std::string& text, int width, int indent);

// Name and text in two columns, the second from `column` on; a long name takes a line of its own.
std::string two_columns(const std::string& name, const std::string& text, int column, int width);

// All commands, one line each.
std::string overview_text(int width);
// Usage, description and flags of one command.
std::string command_text(const Command& command, int width);
// How --set is written.
std::string set_text(int width);
// Manual page in troff (man section 1).
std::string manual_page();
// A bash completion script.
std::string completion_script();

}  // namespace trainer
