// Nearest names, sizes, counts and printable text for messages.
#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <istream>

namespace trainer {
namespace {

constexpr size_t kLongestCompared = 128;  // edit distance costs the product of the lengths

int edit_distance(const std::string& a, const std::string& b) {
  const size_t width = b.size() + 1;
  std::vector<int> d((a.size() + 1) * width);
  auto at = [&](size_t i, size_t j) -> int& { return d[i * width + j]; };
  for (size_t i = 0; i <= a.size(); ++i) at(i, 0) = static_cast<int>(i);
  for (size_t j = 0; j <= b.size(); ++j) at(0, j) = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const int substitution = at(i - 1, j - 1) + (a[i - 1] != b[j - 1]);
      at(i, j) = std::min({at(i - 1, j) + 1, at(i, j - 1) + 1, substitution});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        at(i, j) = std::min(at(i, j), at(i - 2, j - 2) + 1);
    }
  }
  return at(a.size(), b.size());
}

struct Character {
  size_t bytes = 1;
  bool valid = false;  // UTF-8
  bool control = false;
};

Character character_at(std::string_view text, size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  if (lead < 0x80) return {1, true, lead < 0x20 || lead == 0x7F};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || at + bytes > text.size()) return {};
  uint32_t code = lead & (0x7Fu >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    const auto byte = static_cast<unsigned char>(text[at + i]);
    if ((byte & 0xC0) != 0x80) return {};
    code = code << 6 | (byte & 0x3Fu);
  }
  const bool overlong = code < (bytes == 4 ? 0x10000u : bytes == 3 ? 0x800u : 0x80u);
  if (overlong || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {};
  return {bytes, true, code < 0xA0};
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& candidates) {
  if (name.size() > kLongestCompared) return "";
  const std::string wanted = lower(name);
  std::string best;
  int best_distance = 1 << 20;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongestCompared) continue;
    const int distance = edit_distance(wanted, lower(candidate));
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  const int length = static_cast<int>(std::max(wanted.size(), best.size()));
  const int allowed = std::max(1, length / 3);
  return best_distance <= allowed && best_distance < static_cast<int>(wanted.size()) ? best : "";
}

std::string suggest(std::string_view name, const std::vector<std::string>& candidates, std::string_view text) {
  const std::string near = nearest_name(name, candidates);
  return near.empty() ? "" : fmt::format(fmt::runtime(text), near);
}

int64_t parse_bytes(const std::string& text) {
  const size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  std::string unit = trim(text.substr(end));
  double scale = 1;
  if (!unit.empty() && unit != "B") {
    const size_t power = std::string("KMGT").find(static_cast<char>(std::toupper(static_cast<unsigned char>(unit[0]))));
    if (power == std::string::npos) return -1;
    scale = std::ldexp(1.0, 10 * (static_cast<int>(power) + 1));
    unit = unit.substr(1);
    if (!unit.empty() && unit != "B" && unit != "iB") return -1;
  }
  char* parsed = nullptr;
  const std::string number = text.substr(0, end);
  const double bytes = std::strtod(number.c_str(), &parsed) * scale;
  if (number.empty() || *parsed != '\0') return -1;
  return bytes >= 1 && bytes < 1e18 ? static_cast<int64_t>(bytes) : -1;
}

std::string format_bytes(int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} bytes", bytes);
  const char* units[] = {"KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes) / 1024;
  int unit = 0;
  while (value >= 1024 && unit < 3) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, units[unit]);
}

std::string format_count(int64_t count) {
  std::string digits = fmt::format("{}", count < 0 ? -count : count);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3) digits.insert(static_cast<size_t>(i), 1, ',');
  return count < 0 ? "-" + digits : digits;
}

bool has_control_characters(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const Character character = character_at(text, i);
    if (character.control) return true;
    i += character.bytes;
  }
  return false;
}

bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const Character character = character_at(text, i);
    if (!character.valid) return false;
    i += character.bytes;
  }
  return true;
}

std::string printable(std::string_view text, bool lines) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const Character character = character_at(text, i);
    const std::string_view bytes = text.substr(i, character.bytes);
    if ((character.valid && !character.control) || (lines && (bytes == "\n" || bytes == "\t"))) {
      out += bytes;
    } else {
      for (const char byte : bytes) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
    i += character.bytes;
  }
  return out;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    parts.emplace_back(text.substr(begin, end == std::string_view::npos ? end : end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

std::vector<std::string> comma_list(std::string_view text) {
  std::vector<std::string> out;
  for (const std::string& part : split(text, ',')) {
    if (!trim(part).empty()) out.push_back(trim(part));
  }
  return out;
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string trim(std::string_view text) {
  const char* blank = " \t\r\n";
  const size_t begin = text.find_first_not_of(blank);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(blank) - begin + 1));
}

void skip_byte_order_mark(std::istream& in) {
  if (in.peek() != 0xEF) return;
  char mark[3] = {};
  in.read(mark, sizeof mark);
  if (std::string_view(mark, sizeof mark) == "\xEF\xBB\xBF") return;
  in.clear();
  in.seekg(0);
}

}  // namespace trainer
