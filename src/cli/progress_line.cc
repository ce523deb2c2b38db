// Draws the line of a long command.
#include "cli/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <utility>

#include "base/text.h"
#include "report/terminal_sink.h"

namespace trainer {
namespace {

std::string progress_text(int64_t done, int64_t total, const std::string& download) {
  const auto text = download.empty() ? format_count : format_bytes;
  const std::string begin = download.empty() ? "" : fmt::format("Downloading {} ", download);
  if (total <= 0) return begin + text(done);
  constexpr int64_t kCells = 30;
  const auto full = static_cast<size_t>(std::clamp<int64_t>(done * kCells / total, 0, kCells));
  return fmt::format("{}[{}{}] {} of {}", begin, std::string(full, '='), std::string(kCells - full, ' '), text(done),
                     text(total));
}

}  // namespace

ProgressLine::ProgressLine(const char* stopped, std::string download, const SignalHandlers* signals)
    : signals_(signals != nullptr ? *signals : own_signals_.emplace()),
      stopped_(stopped),
      download_(std::move(download)) {}

ProgressLine::~ProgressLine() {
  if (drawn_) std::fputs("\r\x1b[K", stderr);
}

void ProgressLine::operator()(int64_t done, int64_t total) {
  using namespace std::chrono;
  signals_.throw_if_stopped(stopped_);
  if (steady_clock::now() - last_ < milliseconds(100)) return;
  last_ = steady_clock::now();
  if (isatty(STDERR_FILENO) == 0 || in_background(STDERR_FILENO)) return;
  fmt::print(stderr, "\r{}\x1b[K", progress_text(done, total, download_));
  drawn_ = true;
}

}  // namespace trainer
