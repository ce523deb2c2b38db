// Durations as text.
#pragma once

#include <cstdint>
#include <string>

namespace trainer {

// Parses seconds from a number with a unit ("90s", "45m", "12h", "2d"), H:MM:SS or D-HH:MM:SS. Returns -1 for any other
// text and for a duration that is not above 0. A bare number is refused: batch systems disagree about its unit.
int64_t parse_duration(const std::string& text);
// The forms that parse_duration accepts, for messages.
inline constexpr const char* kDurationForms = "write a number with a unit (90s, 45m, 12h, 2d), H:MM:SS or D-HH:MM:SS";

}  // namespace trainer
