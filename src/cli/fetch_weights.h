// Downloads of a command, with a line on the terminal.
#pragma once

#include <string>

#include "cli/signals.h"

namespace trainer {

// Downloads published weights that a value of --weights names, unless they are in the cache. A signal ends the download
// and keeps its part. `signals` are those of a command that handles them already.
void fetch_weights(const std::string& value, const SignalHandlers* signals = nullptr);

}  // namespace trainer
