// Text in JSON.
#pragma once

#include <string>
#include <string_view>

namespace trainer {

// The text in quotes, with escapes. Bytes that are not valid UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

}  // namespace trainer
