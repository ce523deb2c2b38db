// Help, manual page and shell completion, generated from the tables of the commands.
#pragma once

#include <cstdio>
#include <string>

#include "cli/command.h"

namespace trainer {

// The width of `stream` if it is a terminal (at most 110), else 100.
int terminal_width(FILE* stream);

// Wraps the paragraphs of `text` at `width` and indents them. Does not join or wrap lines that start with a blank.
std::string wrap(const std::string& text, int width, int indent);

// Name and text in two columns, the second from `column` on; a long name gets a line of its own.
std::string two_columns(const std::string& name, const std::string& text, int column, int width);

// All commands, one line each.
std::string overview_text(int width);
// Usage, description and flags of one command.
std::string command_text(const Command& command, int width);
// The syntax of --set.
std::string set_text(int width);
// Manual page in troff (man section 1).
std::string manual_page();
// A bash completion script.
std::string completion_script();

}  // namespace trainer
