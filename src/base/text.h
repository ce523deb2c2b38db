// Small text helpers for messages: nearest names, sizes, lists.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {

// The candidate that a person most likely meant by `name` (Damerau-Levenshtein distance, case ignored), or ""
// where none is near: at most a third of the letters wrong, and at least one right. Names beyond 128 bytes resemble
// none.
std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates);

// "1.5 KiB", "431.1 MiB".
std::string format_bytes(int64_t bytes);
// Bytes from "1500000", "800M", "1.5G": K, M, G and T are powers of 1,024, with or without "iB" or "B"; -1 where it is
// none of these or not above 0.
int64_t parse_bytes(const std::string& text);

// "12,345,678".
std::string format_count(int64_t count);

// True where a character controls a terminal or begins a line: U+0000 to U+001F, U+007F to U+009F.
bool has_control_characters(std::string_view text);
// Text from elsewhere (names in files, paths), for a terminal or a log: control characters, and bytes that
// are no UTF-8, become "\x1b". With `lines`, line feeds and tabs stay.
std::string printable(std::string_view text, bool lines = false);

std::vector<std::string> split(std::string_view text, char separator);
std::string trim(std::string_view text);

// Passes over the byte order mark that some editors put before UTF-8 text.
void skip_byte_order_mark(std::istream& in);

}  // namespace trainer
