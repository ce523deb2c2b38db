// Distributes the events of a training run to its sinks.
#include "report/run_report.h"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "report/log_lines_sink.h"
#include "report/run_folder.h"
#include "report/terminal_sink.h"

namespace trainer {
namespace {

std::optional<RunPoint> continued_point(const RunInfo& info) {
  if (!info.continued) return std::nullopt;
  return RunPoint{info.first_iteration, info.retries};
}

double seconds(std::chrono::steady_clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

RunReport::RunReport(bool live_line) {
  sinks_.push_back(std::make_unique<LogLinesSink>());
  if (live_line) sinks_.push_back(std::make_unique<TerminalSink>(STDERR_FILENO));
}

RunReport::RunReport(std::unique_ptr<RunSink> sink) : RunReport() { sinks_.push_back(std::move(sink)); }

RunReport::~RunReport() = default;

void RunReport::note(const std::string& text) {
  for (const auto& sink : sinks_) sink->note(text);
}

void RunReport::warning(const std::string& text) {
  for (const auto& sink : sinks_) sink->warning(text);
}

void RunReport::begin(const RunInfo& info) {
  RunInfo effective = info;
  if (info.folder.empty() && !info.log_path.empty()) {
    const std::string problem = log_file_.open(info.log_path);
    if (!problem.empty()) warning(problem);
  } else if (info.folder.empty()) {
    log_file_.close();
  } else {
    try {
      auto folder = std::make_unique<RunFolder>(info.folder, continued_point(info));
      effective.folder = folder_ = folder->path();
      sinks_.push_back(std::move(folder));
      const std::string problem = log_file_.open(folder_ + "/train.log");
      if (!problem.empty()) warning(problem);
    } catch (const Error& error) {
      log_file_.close();
      warning(fmt::format("{}; this run will have no report (--run_dir selects another folder)", error.what()));
      effective.folder.clear();
    }
  }
  images_per_iteration_ = info.images_per_iteration;
  last_time_ = Clock::now();
  last_iteration_ = info.first_iteration;
  for (const auto& sink : sinks_) sink->begin(effective);
}

void RunReport::step(const StepProgress& progress) {
  for (const auto& sink : sinks_) sink->step(progress);
}

TrainPace RunReport::pace_since_last(const TrainDisplay& display) {
  TrainPace pace;
  const Clock::time_point now = Clock::now();
  pace.seconds = std::max(0.0, seconds(now - last_time_ - test_time_));
  if (pace.seconds > 0) {
    pace.iterations_per_second = static_cast<double>(display.iteration - last_iteration_) / pace.seconds;
    pace.data_wait_share = std::clamp((display.data_wait_seconds - last_wait_) / pace.seconds, 0.0, 1.0);
  }
  pace.images_per_second = pace.iterations_per_second * static_cast<double>(images_per_iteration_);
  last_time_ = now;
  last_iteration_ = display.iteration;
  last_wait_ = display.data_wait_seconds;
  test_time_ = {};
  return pace;
}

void RunReport::train_display(const TrainDisplay& display) {
  const TrainPace pace = pace_since_last(display);
  for (const auto& sink : sinks_) sink->train_display(display, pace);
}

void RunReport::test_begin(int64_t iteration, int net) {
  test_start_ = Clock::now();
  for (const auto& sink : sinks_) sink->test_begin(iteration, net);
}

void RunReport::test_step(int64_t done, int64_t total) {
  for (const auto& sink : sinks_) sink->test_step(done, total);
}

void RunReport::test_result(const TestResult& result) {
  const Clock::duration spent = Clock::now() - test_start_;
  test_time_ += spent;
  for (const auto& sink : sinks_) sink->test_result(result, seconds(spent));
}

void RunReport::test_interrupted() {
  test_time_ += Clock::now() - test_start_;
  note("Test interrupted.");
}

void RunReport::snapshot(const SnapshotFiles& files) {
  for (const auto& sink : sinks_) sink->snapshot(files);
}

void RunReport::best(const NewBest& best) {
  for (const auto& sink : sinks_) sink->best(best);
}

void RunReport::retry(const Retry& retry) {
  last_iteration_ = retry.first_iteration;
  last_time_ = Clock::now();
  test_time_ = {};
  for (const auto& sink : sinks_) sink->retry(retry);
}

void RunReport::final_loss(int64_t iteration, double loss) {
  for (const auto& sink : sinks_) sink->final_loss(iteration, loss);
}

void RunReport::finish(const RunEnd& end) {
  for (const auto& sink : sinks_) sink->end(end);
}

}  // namespace trainer
