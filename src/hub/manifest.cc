// Parses and checks manifests.
#include "hub/manifest.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "base/text.h"
#include "config/prototxt.h"

namespace trainer {
namespace {

constexpr size_t kLongestName = 100, kFewestDigits = 8, kAllDigits = 64;
constexpr size_t kMostChannels = 3;
constexpr int kMostMiB = 1 << 20;

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

bool is_hexadecimal(const std::string& text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

class EntryCheck {
 public:
  EntryCheck(const hub::Weights& entry, const Positions& positions, Diagnostics* diagnostics)
      : entry_(entry), positions_(positions), diagnostics_(*diagnostics) {}

  void run() {
    check_name();
    check_checksum();
    check_url();
    if (entry_.has_mib() && !(entry_.mib() > 0 && entry_.mib() <= kMostMiB))
      error("mib", fmt::format("is {}; it must be above 0 and at most {}", entry_.mib(), kMostMiB));
    check_channels("mean", entry_.preprocessing().mean());
    check_channels("std", entry_.preprocessing().std());
    check_values();
    for (const hub::Rename& rename : entry_.rename()) {
      if (rename.from().empty()) error("rename", "has no from");
    }
  }

 private:
  void error(const std::string& field, const std::string& problem, const std::string& hint = "") {
    diagnostics_.error(positions_.of(entry_, field), fmt::format("weights \"{}\"", printable(entry_.name())),
                       fmt::format("{} {}", field, problem), hint);
  }

  void check_name() {
    if (!is_published_name(entry_.name()))
      error(
          "name", entry_.has_name() ? "is not a name of weights" : "is missing",
          fmt::format("use at most {} letters, digits, \".\", \"_\" and \"-\", first a letter or digit", kLongestName));
  }

  void check_checksum() {
    const std::string& digits = entry_.sha256();
    if (!entry_.has_sha256()) return;
    if (!is_hexadecimal(digits) || digits.size() < kFewestDigits || digits.size() > kAllDigits)
      error("sha256", fmt::format("has to be {} to {} hexadecimal digits", kFewestDigits, kAllDigits),
            "sha256sum FILE prints them");
  }

  void check_url() {
    const std::string& url = entry_.url();
    const bool plain = url.starts_with("http://");
    if (!entry_.has_url()) {
      error("url", "is missing");
    } else if (!plain && !url.starts_with("https://")) {
      error("url", "does not begin with https://", "a file on this machine needs no name: --weights=FILE");
    } else if (has_control_characters(url) || url.find(' ') != std::string::npos) {
      error("url", "has a space or control character", "write %20 for a space");
    } else if (plain && !has_whole_checksum(entry_)) {
      error("url", "begins with http://, so that anyone on the way can change the file",
            fmt::format("use https://, or give all {} digits of sha256", kAllDigits));
    }
  }

  void check_channels(const std::string& field, const google::protobuf::RepeatedField<double>& values) {
    const auto count = static_cast<size_t>(values.size());
    if (count != 0 && count != 1 && count != kMostChannels)
      preprocessing_error(field,
                          fmt::format("has {} values; give one, or one for each of {} channels", count, kMostChannels));
  }

  void preprocessing_error(const std::string& field, const std::string& problem, const std::string& hint = "") {
    diagnostics_.error(positions_.of(entry_.preprocessing(), field),
                       fmt::format("weights \"{}\"", printable(entry_.name())), fmt::format("{} {}", field, problem),
                       hint);
  }

  void check_values() {
    const hub::Preprocessing& used = entry_.preprocessing();
    if (std::ranges::any_of(used.std(), [](double value) { return !(value > 0) || !std::isfinite(value); }))
      preprocessing_error("std", "has a value that is not above 0", "pixels are divided by it; leave it out for 1");
    if (std::ranges::any_of(used.mean(), [](double value) { return !std::isfinite(value); }))
      preprocessing_error("mean", "has a value that is not a number");
    if (used.has_crop_size() && used.crop_size() == 0) preprocessing_error("crop_size", "is 0");
    if (used.has_short_side() && used.has_crop_size() && used.short_side() < used.crop_size())
      preprocessing_error("short_side", fmt::format("is {}, below crop_size, {}", used.short_side(), used.crop_size()),
                          "the center that is cut out cannot be larger than the picture");
  }

  const hub::Weights& entry_;
  const Positions& positions_;
  Diagnostics& diagnostics_;
};

void append(const hub::Manifest& manifest, std::vector<hub::Weights>* list) {
  for (const hub::Weights& entry : manifest.weights()) {
    const bool known = std::ranges::any_of(*list, [&](const hub::Weights& w) { return w.name() == entry.name(); });
    if (!known) list->push_back(entry);
  }
}

}  // namespace

bool is_published_name(std::string_view text) {
  const auto allowed = [](char c) { return is_letter_or_digit(c) || c == '.' || c == '_' || c == '-'; };
  return !text.empty() && text.size() <= kLongestName && is_letter_or_digit(text[0]) &&
         std::ranges::all_of(text, allowed);
}

bool has_whole_checksum(const hub::Weights& weights) { return weights.sha256().size() == kAllDigits; }

hub::Manifest parse_manifest(const std::string& text, const std::string& file, Diagnostics* diagnostics) {
  hub::Manifest manifest;
  Positions positions;
  parse_prototxt(text, file, &manifest, &positions, diagnostics);
  std::set<std::string> names;
  for (const hub::Weights& entry : manifest.weights()) {
    if (positions.faulty(entry)) continue;
    EntryCheck(entry, positions, diagnostics).run();
    if (!names.insert(entry.name()).second)
      diagnostics->error(positions.of(entry, "name"), "",
                         fmt::format("two weights have the name \"{}\"", printable(entry.name())),
                         "rename one of them");
  }
  return manifest;
}

std::vector<hub::Weights> published_weights() {
  std::vector<hub::Weights> list;
  Diagnostics diagnostics;
  const char* files = std::getenv("TRAINER_WEIGHTS");
  for (const std::string& file : split(files == nullptr ? "" : files, ':')) {
    if (file.empty()) continue;
    SourcePosition named_at;
    named_at.file = "TRAINER_WEIGHTS";
    std::string text;
    if (read_text_file(file, named_at, &text, &diagnostics)) append(parse_manifest(text, file, &diagnostics), &list);
  }
  append(parse_manifest(std::string(own_manifest()), "the manifest of trainer", &diagnostics), &list);
  diagnostics.throw_if_errors();
  return list;
}

}  // namespace trainer
