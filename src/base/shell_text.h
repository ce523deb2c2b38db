// Text for a shell.
#pragma once

#include <string>

namespace trainer {

// The text as one argument of a shell command, in quotes if it needs them.
std::string shell_quoted(const std::string& text);

}  // namespace trainer
