// Shows a run on a terminal.
#include "report/terminal_sink.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <string_view>

#include "base/text.h"

namespace trainer {
namespace {

constexpr std::chrono::milliseconds kDrawEvery{100};
// Time constant of the moving average for the displayed pace.
constexpr double kPaceSeconds = 5;
constexpr size_t kMostPending = size_t{1} << 20;
// Largest write to a terminal without a separate nonblocking descriptor, when poll reports some room.
constexpr size_t kSmallWrite = 128;

int columns_of(int descriptor) {
  winsize size{};
  return ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool has_room(int descriptor) {
  pollfd ready{descriptor, POLLOUT, 0};
  return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0;
}

double seconds(std::chrono::steady_clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

bool can_show_live_line(int descriptor) {
  const char* terminal = std::getenv("TERM");
  return isatty(descriptor) != 0 && terminal != nullptr && *terminal != '\0' && std::string_view(terminal) != "dumb";
}

bool in_background(int descriptor) {
  const pid_t group = tcgetpgrp(descriptor);
  return group > 0 && group != getpgrp();
}

TerminalSink::TerminalSink(int descriptor)
    : descriptor_(descriptor),
      nonblocking_(
          open(fmt::format("/proc/self/fd/{}", descriptor).c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)) {
  attachment_.emplace(static_cast<LogSink&>(*this));
}

TerminalSink::~TerminalSink() {
  attachment_.reset();
  const std::lock_guard<std::mutex> lock(mutex_);
  clear();
  if (nonblocking_ >= 0) close(nonblocking_);
}

void TerminalSink::write(const LogRecord& line) {
  if (line.severity == LogSeverity::kWarning) permanent_line(fmt::format("warning: {}", line.text));
}

void TerminalSink::begin(const RunInfo& info) {
  state_.iteration = info.first_iteration;
  state_.max_iteration = info.max_iteration;
  images_per_iteration_ = info.images_per_iteration;
  images_per_epoch_ = info.images_per_epoch;
  pace_time_ = Clock::now();
  pace_iteration_ = info.first_iteration;
  std::string line = fmt::format("{}: {}", info.net_name, info.solver_type);
  if (!info.device.empty()) line += " on " + info.device;
  if (info.first_iteration > 0) line += fmt::format(", from iteration {}", format_count(info.first_iteration));
  if (!info.folder.empty()) line += fmt::format(", report in {}", info.folder);
  permanent_line(line);
}

void TerminalSink::step(const StepProgress& progress) {
  state_.iteration = progress.iteration;
  state_.loss = progress.loss;
  state_.has_loss = true;
  state_.learning_rate = progress.learning_rate;
  const Clock::time_point now = Clock::now();
  if (now - last_draw_ < kDrawEvery) return;
  update_pace(progress, now);
  const std::lock_guard<std::mutex> lock(mutex_);
  draw();
}

void TerminalSink::update_pace(const StepProgress& progress, Clock::time_point now) {
  const double span = seconds(now - pace_time_ - test_time_);
  const int64_t iterations = progress.iteration - pace_iteration_;
  if (iterations <= 0 || span <= 0) return;
  const double rate = static_cast<double>(iterations) / span;
  const double wait = std::clamp((progress.data_wait_seconds - pace_wait_) / span, 0.0, 1.0);
  const bool first = state_.iterations_per_second < 0;
  const double weight = first ? 1 : 1 - std::exp(-span / kPaceSeconds);
  state_.iterations_per_second =
      first ? rate : state_.iterations_per_second + weight * (rate - state_.iterations_per_second);
  state_.data_wait_share = first ? wait : state_.data_wait_share + weight * (wait - state_.data_wait_share);
  if (images_per_iteration_ > 0) {
    state_.images_per_second = state_.iterations_per_second * static_cast<double>(images_per_iteration_);
    if (images_per_epoch_ > 0)
      state_.epoch = static_cast<double>(progress.iteration) * static_cast<double>(images_per_iteration_) /
                     static_cast<double>(images_per_epoch_);
  }
  if (state_.max_iteration > 0)
    state_.seconds_left = static_cast<double>(state_.max_iteration - progress.iteration) / state_.iterations_per_second;
  pace_time_ = now;
  pace_iteration_ = progress.iteration;
  pace_wait_ = progress.data_wait_seconds;
  test_time_ = {};
}

void TerminalSink::train_display(const TrainDisplay& display, const TrainPace&) {
  state_.loss = display.loss;
  state_.has_loss = true;
  state_.learning_rate = display.learning_rate;
}

void TerminalSink::test_begin(int64_t, int net) {
  test_start_ = Clock::now();
  state_.activity = fmt::format("testing net #{}", net);
  const std::lock_guard<std::mutex> lock(mutex_);
  draw();
}

void TerminalSink::test_step(int64_t done, int64_t total) {
  state_.activity = fmt::format("testing {}/{}", done, total);
  draw_if_due();
}

void TerminalSink::test_result(const TestResult& result, double elapsed) {
  test_time_ += Clock::now() - test_start_;
  state_.activity.clear();
  std::string line = fmt::format("iteration {}  test", format_count(result.iteration));
  if (result.net > 0) line += fmt::format(" net #{}", result.net);
  if (result.loss) line += fmt::format("  total loss {}", log_number(*result.loss));
  const std::vector<std::string> names = series_names(result.outputs);
  for (size_t i = 0; i < names.size(); ++i) line += fmt::format("  {} {}", names[i], value_text(result.outputs[i]));
  if (result.images > 0) line += fmt::format("  over {} images", format_count(result.images));
  permanent_line(fmt::format("{}  ({:.1f} s)", line, elapsed));
}

void TerminalSink::snapshot(const SnapshotFiles& files) {
  permanent_line(fmt::format("iteration {}  snapshot {}", format_count(files.iteration), files.state));
}

void TerminalSink::note(const std::string& text) { permanent_line(text); }

void TerminalSink::best(const NewBest& best) {
  permanent_line(new_best_line(best.iteration, best.metric, best.value, best.weights));
}

// The log's warning is on the terminal.
void TerminalSink::retry(const Retry& retry) {
  pace_iteration_ = retry.first_iteration;
  pace_time_ = Clock::now();
  test_time_ = {};
}

void TerminalSink::end(const RunEnd& end) {
  permanent_line(fmt::format("iteration {}  {}", format_count(end.iteration), end.outcome));
  const std::lock_guard<std::mutex> lock(mutex_);
  clear();
}

void TerminalSink::permanent_line(const std::string& text) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const std::string shown = printable(text, true);
  if (shown_.empty()) return put(shown + "\n");
  put("\r\x1b[K" + shown + "\n" + shown_);
}

void TerminalSink::draw_if_due() {
  if (Clock::now() - last_draw_ < kDrawEvery) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  draw();
}

void TerminalSink::draw() {
  last_draw_ = Clock::now();
  write_pending();
  if (!pending_.empty() || !has_room(descriptor_)) return;
  if (in_background(descriptor_)) return shown_.clear();
  // The last column stays free: some terminals start a new line after writing there.
  shown_ = live_line_text(state_, columns_of(descriptor_) - 1);
  put("\r" + shown_ + "\x1b[K");
}

void TerminalSink::clear() {
  if (!shown_.empty()) put("\r\x1b[K");
  shown_.clear();
}

void TerminalSink::put(const std::string& bytes) {
  if (pending_.size() < kMostPending) pending_ += bytes;
  write_pending();
}

void TerminalSink::write_pending() {
  size_t written = 0;
  while (written < pending_.size()) {
    const size_t left = pending_.size() - written;
    if (nonblocking_ < 0 && !has_room(descriptor_)) break;
    const ssize_t count = nonblocking_ >= 0
                              ? ::write(nonblocking_, pending_.data() + written, left)
                              : ::write(descriptor_, pending_.data() + written, std::min(left, kSmallWrite));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) break;
    if (count <= 0) return pending_.clear();  // if the terminal is gone, only the lines are lost
    written += static_cast<size_t>(count);
  }
  pending_.erase(0, written);
}

}  // namespace trainer
