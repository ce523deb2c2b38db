// The content of a file that is locked (flock): who holds it, for those who find it so.
#pragma once

#include <string>
#include <string_view>

#include "base/text.h"  // printable(): the content is shown

namespace trainer {

// In place of what the file held; a message without a name is all that a full disk costs.
void write_holder(int file, std::string_view holder);
// The first 512 bytes, as they are: anybody may have written them. "" where there are none.
std::string read_holder(int file);

}  // namespace trainer
