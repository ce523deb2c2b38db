// Writes the run folder.
#include "report/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "base/text.h"
#include "report/event_file.h"
#include "report/html_report.h"
#include "report/json_line.h"
#include "report/log.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

// Minimum time between updates of the page after tests, which may be frequent; snapshots and the end always update it.
constexpr std::chrono::seconds kReportEvery{10};

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string local_time(const char* format) {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[64];
  return std::string(text, std::strftime(text, sizeof text, format, &parts));
}

std::string split_name(int test_net) { return test_net == 0 ? "test" : fmt::format("test{}", test_net); }

// Lines and events of one point in time, written together.
struct Batch {
  std::string lines, events;

  void add(int64_t iteration, const std::string& split, const std::string& name, const OutputValue& output,
           JsonLine line, double seconds) {
    line.add("iteration", iteration).add("split", split).add("name", name).add("value", output.value);
    if (output.loss_weight != 0) line.add("loss_weight", output.loss_weight);
    line.add("seconds", seconds);
    lines += line.text();
    events += tfrecord(scalar_event(wall_time(), iteration, split + "/" + name, static_cast<float>(output.value)));
  }
};

// Creates the first of base-2, base-3, ... that does not exist.
std::string make_next_folder(const std::string& base) {
  std::error_code error;
  for (int i = 2;; ++i) {
    const std::string path = fmt::format("{}-{}", base, i);
    if (fs::create_directory(path, error) || error) return path;
  }
}

}  // namespace

std::string make_run_folder(const std::string& snapshot_prefix) {
  const std::string base = snapshot_prefix + "_run/" + local_time("%Y-%m-%d_%H-%M-%S");
  std::error_code error;
  fs::create_directories(fs::path(base).parent_path(), error);
  return fs::create_directory(base, error) || error ? base : make_next_folder(base);
}

FolderLock::~FolderLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool FolderLock::take(const std::string& folder) {
  descriptor_ = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor_ < 0 || flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return true;
  ::close(descriptor_);
  descriptor_ = -1;
  return false;
}

RunFolder::RunFolder(const std::string& path) : path_(path) {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error || !fs::is_directory(path_, error))
    throw data_error("cannot create the run folder {}: {}", path_, error ? error.message() : "a file has this name");
  if (!lock_.take(path_)) {
    path_ = make_next_folder(path_.substr(0, path_.find_last_not_of('/') + 1));
    log_warning(fmt::format("another run writes to {}: the report of this run goes to {}", path, path_));
    lock_.take(path_);
  }
  history_ = read_history(path_ + "/metrics.jsonl");
  if (!metrics_.open(path_ + "/metrics.jsonl")) throw data_error("{}", metrics_.problem());
  if (!events_.open(path_ + "/" + event_file_name(wall_time()))) throw data_error("{}", events_.problem());
}

double RunFolder::seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

void RunFolder::begin(const RunInfo& info) {
  start_ = Clock::now();
  net_text_ = info.net_text;
  solver_text_ = info.solver_text;
  write_text("net.prototxt", net_text_);
  write_text("solver.prototxt", solver_text_);
  if (!info.class_names.empty()) write_text("labels.txt", fmt::format("{}\n", fmt::join(info.class_names, "\n")));
  JsonLine line;
  line.add("event", "begin").add("time", local_time("%Y-%m-%d %H:%M:%S")).add("version", TRAINER_VERSION);
  line.add("net", info.net_name).add("solver", info.solver_type).add("device", info.device);
  line.add("command", info.command_line).add("first_iteration", info.first_iteration);
  line.add("max_iteration", info.max_iteration).add("images_per_iteration", info.images_per_iteration);
  line.add("images_per_epoch", info.images_per_epoch);
  write_metrics(line.text());
  events_.write(tfrecord(version_event(wall_time())));
  write_report();
}

void RunFolder::train_display(const TrainDisplay& display, const TrainPace& pace) {
  Batch batch;
  const double now = seconds();
  JsonLine first;
  first.add("lr", display.learning_rate).add("data_wait_share", pace.data_wait_share);
  if (pace.images_per_second > 0) first.add("images_per_second", pace.images_per_second);
  batch.add(display.iteration, "train", "smoothed_loss", {"", display.loss, 1}, first, now);
  const std::vector<std::string> names = series_names(display.outputs);
  for (size_t i = 0; i < names.size(); ++i) {
    JsonLine line;
    line.add("lr", display.learning_rate);
    batch.add(display.iteration, "train", names[i], display.outputs[i], line, now);
  }
  batch.events +=
      tfrecord(scalar_event(wall_time(), display.iteration, "train/lr", static_cast<float>(display.learning_rate)));
  write_metrics(batch.lines);
  events_.write(batch.events);
  check(metrics_.problem());
  check(events_.problem());
}

void RunFolder::test_result(const TestResult& result, double) {
  Batch batch;
  const double now = seconds();
  const std::string split = split_name(result.net);
  if (result.loss) batch.add(result.iteration, split, "total_loss", {"", *result.loss, 1}, {}, now);
  const std::vector<std::string> names = series_names(result.outputs);
  for (size_t i = 0; i < names.size(); ++i) batch.add(result.iteration, split, names[i], result.outputs[i], {}, now);
  write_metrics(batch.lines);
  events_.write(batch.events);
  check(metrics_.problem());
  check(events_.problem());
  if (Clock::now() - last_report_ > kReportEvery) write_report();
}

void RunFolder::snapshot(const SnapshotFiles& files) {
  JsonLine line;
  line.add("event", "snapshot")
      .add("iteration", files.iteration)
      .add("weights", files.weights)
      .add("state", files.state);
  if (!files.average.empty()) line.add("average", files.average);
  write_metrics(line.add("seconds", seconds()).text());
  write_report();
}

void RunFolder::end(const RunEnd& end) {
  JsonLine line;
  line.add("event", "end").add("iteration", end.iteration).add("outcome", end.outcome);
  write_metrics(line.add("seconds", seconds()).text());
  check(metrics_.problem());
  write_report();
}

void RunFolder::write_metrics(const std::string& lines) {
  metrics_.write(lines);
  for (const std::string& line : split(lines, '\n')) history_.add(line);
}

void RunFolder::write_report() {
  write_text("report.html", html_report(history_, net_text_, solver_text_));
  last_report_ = Clock::now();
}

void RunFolder::write_text(const char* name, const std::string& text) {
  check(write_whole_file(path_ + "/" + name, text));
}

void RunFolder::check(const std::string& problem) {
  if (problem.empty() || warned_) return;
  warned_ = true;
  log_warning(fmt::format("the run folder is incomplete: {}. Training continues", problem));
}

}  // namespace trainer
