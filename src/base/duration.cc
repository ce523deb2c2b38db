// Parses durations.
#include "base/duration.h"

#include <charconv>
#include <optional>
#include <vector>

#include "base/text.h"

namespace trainer {
namespace {

constexpr int64_t kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;
constexpr int64_t kMost = 1'000'000;  // of any unit

// A whole number of at most kMost; with `digits`, of exactly that many digits.
std::optional<int64_t> number(const std::string& text, size_t digits = 0) {
  int64_t value = 0;
  const char* const end = text.data() + text.size();
  const bool whole = !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
  if (!whole || (digits != 0 && text.size() != digits)) return std::nullopt;
  if (std::from_chars(text.data(), end, value).ec != std::errc() || value > kMost) return std::nullopt;
  return value;
}

// H:MM:SS; after days the hours have two digits and stay below 24.
std::optional<int64_t> clock_time(const std::string& text, bool after_days) {
  const std::vector<std::string> parts = split(text, ':');
  if (parts.size() != 3) return std::nullopt;
  const auto hours = number(parts[0], after_days ? 2 : 0), minutes = number(parts[1], 2), seconds = number(parts[2], 2);
  if (!hours || !minutes || !seconds || *minutes > 59 || *seconds > 59 || (after_days && *hours > 23))
    return std::nullopt;
  return *hours * kHour + *minutes * kMinute + *seconds;
}

std::optional<int64_t> with_unit(const std::string& text) {
  const std::optional<int64_t> count = number(text.substr(0, text.size() - 1));
  if (!count) return std::nullopt;
  switch (text.back()) {
    case 's': return *count;
    case 'm': return *count * kMinute;
    case 'h': return *count * kHour;
    case 'd': return *count * kDay;
    default: return std::nullopt;
  }
}

std::optional<int64_t> seconds_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text.find(':') == std::string::npos) return with_unit(text);
  const size_t dash = text.find('-');
  if (dash == std::string::npos) return clock_time(text, false);
  const auto days = number(text.substr(0, dash)), rest = clock_time(text.substr(dash + 1), true);
  return days && rest ? std::optional(*days * kDay + *rest) : std::nullopt;
}

}  // namespace

int64_t parse_duration(const std::string& text) {
  const int64_t seconds = seconds_of(text).value_or(0);
  return seconds > 0 ? seconds : -1;
}

}  // namespace trainer
