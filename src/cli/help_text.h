// Help as pages of markdown, which render_markdown() shows in a terminal; manual page and shell completion. All are
// made from the commands' tables.
#pragma once

#include <cstdio>
#include <string>

#include "cli/command.h"

namespace trainer {

// Columns to wrap at: those of the terminal if `stream` is one (at most 110), else 100.
int terminal_width(FILE* stream);

// All commands and topics.
std::string overview_page();
// All commands, a row each.
std::string command_table();
// Usage, description and flags of one command.
std::string command_page(const Command& command);
// The forms of --set.
std::string set_page();
// Manual page in troff (man section 1).
std::string manual_page();
// A bash completion script.
std::string completion_script();

}  // namespace trainer
