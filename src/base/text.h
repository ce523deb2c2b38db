// Text functions for messages: nearest names, sizes, counts, printable text.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {

// The candidate that the user most likely meant by `name` (Damerau-Levenshtein distance, case ignored), or "" if none
// is close: at most a third of the letters may differ and at least one must match. Names longer than 128 bytes match
// nothing.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);
// `text`, such as "; did you mean {}?", with the nearest name in place of {}; "" if no candidate is close.
std::string suggest(std::string_view name, const std::vector<std::string>& candidates, std::string_view text);

// "1.5 KiB", "431.1 MiB".
std::string format_bytes(int64_t bytes);
// Parses bytes from "1500000", "800M", "1.5G": K, M, G and T are powers of 1,024, with or without "iB" or "B". Returns
// -1 for any other text and for values that are not above 0.
int64_t parse_bytes(const std::string& text);

// "12,345,678".
std::string format_count(int64_t count);

// True if the text contains a control character (U+0000 to U+001F, U+007F to U+009F), which could control a terminal or
// start a line.
bool has_control_characters(std::string_view text);
bool is_utf8(std::string_view text);
// Makes untrusted text (names in files, paths) safe for a terminal or a log: control characters and bytes that are not
// valid UTF-8 become "\x1b". With `lines`, line feeds and tabs stay.
std::string printable(std::string_view text, bool lines = false);

std::vector<std::string> split(std::string_view text, char separator);
// The words of a comma list, blanks around them removed.
std::vector<std::string> comma_list(std::string_view text);
std::string trim(std::string_view text);
// With ASCII letters in lower case.
std::string lower(std::string_view text);

// Skips the byte order mark that some editors write before UTF-8 text.
void skip_byte_order_mark(std::istream& in);

}  // namespace trainer
