// A run on a terminal: one live line, redrawn at most ten times per second, and permanent lines for tests, snapshots,
// notes, and warnings of the log.
//
// A terminal that accepts no output (Ctrl-S, a lost connection) never blocks the run: live lines are dropped and
// permanent lines are kept until there is room. A background job shows no live line.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>

#include "report/live_line.h"
#include "report/log.h"
#include "report/run_events.h"

namespace trainer {

// Whether the descriptor is a terminal that can clear a line.
bool can_show_live_line(int descriptor);
// Whether the shell gave the terminal to another job: a live line would overwrite its prompt.
bool in_background(int descriptor);

class TerminalSink : public RunSink, private LogSink {
 public:
  explicit TerminalSink(int descriptor);
  ~TerminalSink() override;

  void begin(const RunInfo& info) override;
  void step(const StepProgress& progress) override;
  void train_display(const TrainDisplay& display, const TrainPace& pace) override;
  void test_begin(int64_t iteration, int net) override;
  void test_step(int64_t done, int64_t total) override;
  void test_result(const TestResult& result, double seconds) override;
  void snapshot(const SnapshotFiles& files) override;
  void note(const std::string& text) override;
  void best(const NewBest& best) override;
  void retry(const Retry& retry) override;
  void end(const RunEnd& end) override;

  // Writes a permanent line above the live line. Thread-safe.
  void permanent_line(const std::string& text);

 private:
  using Clock = std::chrono::steady_clock;

  void write(const LogRecord& line) override;
  void update_pace(const StepProgress& progress, Clock::time_point now);
  void draw_if_due();
  void draw();
  void clear();
  void put(const std::string& bytes);
  void write_pending();

  const int descriptor_;
  int nonblocking_ = -1;  // the same terminal, opened nonblocking; -1 if that failed
  std::mutex mutex_;      // guards shown_, pending_ and what is written to the terminal
  std::string pending_;   // not yet written
  std::string shown_;     // the live line on the terminal; "" for none
  LiveState state_;
  int64_t images_per_iteration_ = 0;
  int64_t images_per_epoch_ = 0;
  Clock::time_point last_draw_{};
  Clock::time_point pace_time_{};  // time of the last pace measurement
  int64_t pace_iteration_ = 0;
  double pace_wait_ = 0;
  Clock::duration test_time_{};  // time in tests since pace_time_
  Clock::time_point test_start_{};
  std::optional<LogAttachment> attachment_;
};

}  // namespace trainer
