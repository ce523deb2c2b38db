// The content of a lock file (flock): the name of its holder, for the messages of other processes.
#pragma once

#include <string>
#include <string_view>

#include "base/text.h"  // printable(): the content is shown

namespace trainer {

// Replaces the content of the file. Write errors are ignored: on a full disk only the holder's name is lost.
void write_holder(int file, std::string_view holder);
// The first 512 bytes, unchecked: any process may have written them. "" if the file is empty.
std::string read_holder(int file);

}  // namespace trainer
