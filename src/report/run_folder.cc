// Writes the run folder.
#include "report/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include "base/error.h"
#include "base/text.h"
#include "report/event_file.h"
#include "report/html_report.h"
#include "report/html_tests.h"
#include "report/json_line.h"
#include "report/log.h"
#include "report/test_json.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

// Minimum time between updates of the page after tests, which may be frequent; snapshots and the end always update it.
constexpr std::chrono::seconds kReportEvery{10};
constexpr const char* kMetrics = "/metrics.jsonl";
constexpr const char* kResults = "results.json";
constexpr const char* kFolderName = "%Y-%m-%d_%H-%M-%S";

// The content of a file; "" if it cannot be read.
std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

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

std::string runs_of(const std::string& snapshot_prefix) { return snapshot_prefix + "_run"; }

// Whether make_run_folder makes such names.
bool is_run_name(const std::string& name) {
  std::tm parts{};
  return strptime(name.c_str(), kFolderName, &parts) != nullptr;
}

// `prefix` as seen from the folder; "" if there is no way.
std::string prefix_from(const std::string& folder, const fs::path& prefix) {
  if (prefix.empty()) return "";
  std::error_code error;
  const fs::path way = fs::relative(prefix.has_parent_path() ? prefix.parent_path() : ".", folder, error);
  return error || way.empty() ? "" : (way / prefix.filename()).string();
}

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
  const std::string base = runs_of(snapshot_prefix) + "/" + local_time(kFolderName);
  std::error_code error;
  fs::create_directories(fs::path(base).parent_path(), error);
  return fs::create_directory(base, error) || error ? base : make_next_folder(base);
}

std::string newest_run_folder(const std::string& snapshot_prefix) {
  fs::path newest;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(runs_of(snapshot_prefix), ignored)) {
    const fs::path& path = entry.path();
    if (is_run_name(path.filename().string()) && path > newest) newest = path;
  }
  return newest.string();
}

bool is_unsaved_run(const std::string& folder, const std::string& command_line) {
  const RunHistory history = read_history(folder + kMetrics);
  const bool same = history.begin.empty() || field(history.begin, "command") == command_line;
  return same && history.end.empty() && history.snapshots.empty();
}

std::string prefix_of_report(const std::string& folder) {
  const std::string prefix = field(read_history(folder + kMetrics).begin, "prefix");
  return prefix.empty() ? "" : (fs::path(folder) / prefix).lexically_normal().string();
}

bool is_complete_report(const std::string& folder, int64_t iterations) {
  const RunHistory history = read_history(folder + kMetrics);
  const auto is = [&](const char* field, int64_t value) {
    const auto found = history.end.find(field);
    return found != history.end.end() && found->second == std::to_string(value);
  };
  return is("completed", 1) && is("iteration", iterations);
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

RunFolder::RunFolder(const std::string& path, const std::optional<RunPoint>& continued) : path_(path) {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error || !fs::is_directory(path_, error))
    throw data_error("cannot create the run folder {}: {}", path_, error ? error.message() : "a file has this name");
  if (!lock_.take(path_)) {
    path_ = make_next_folder(path_.substr(0, path_.find_last_not_of('/') + 1));
    log_warning(fmt::format("another run writes to {}: the report of this run goes to {}", path, path_));
    lock_.take(path_);
  } else if (continued) {
    go_back(*continued);
  }
  open_files();
  if (continued) earlier_seconds_ = history_.seconds;
}

void RunFolder::open_files() {
  history_ = read_history(path_ + kMetrics);
  if (!metrics_.open(path_ + kMetrics)) throw data_error("{}", metrics_.problem());
  if (!events_.open(path_ + "/" + event_file_name(wall_time()))) throw data_error("{}", events_.problem());
}

// Removes the lines and events that a run writes again if it continues from this point, and lines that a kill
// truncated.
void RunFolder::go_back(const RunPoint& point) {
  std::string kept;
  for (const std::string& line : split(read_file(path_ + kMetrics), '\n')) {
    const std::optional<JsonFields> fields = parse_json_line(line);
    if (fields && !is_repeated(*fields, point)) kept += line + "\n";
  }
  check(write_whole_file(path_ + kMetrics, kept));
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_, ignored)) {
    const std::string file = entry.path().string();
    if (!entry.path().filename().string().starts_with(kEventFilePrefix)) continue;
    check(write_whole_file(file, records_before(read_file(file), point.iteration)));
  }
}

double RunFolder::seconds() const {
  return earlier_seconds_ + std::chrono::duration<double>(Clock::now() - start_).count();
}

void RunFolder::begin(const RunInfo& info) {
  start_ = Clock::now();
  net_text_ = info.net_text;
  solver_text_ = info.solver_text;
  class_names_ = info.class_names;
  write_text("net.prototxt", net_text_);
  if (!info.test_net_text.empty()) write_text("test_net.prototxt", info.test_net_text);
  write_text("solver.prototxt", solver_text_);
  if (!info.class_names.empty()) write_text("labels.txt", fmt::format("{}\n", fmt::join(info.class_names, "\n")));
  JsonLine line;
  line.add("event", "begin").add("time", local_time("%Y-%m-%d %H:%M:%S")).add("version", TRAINER_VERSION);
  line.add("net", info.net_name).add("solver", info.solver_type).add("device", info.device);
  line.add("command", info.command_line).add("first_iteration", info.first_iteration);
  line.add("max_iteration", info.max_iteration).add("images_per_iteration", info.images_per_iteration);
  line.add("images_per_epoch", info.images_per_epoch).add("prefix", prefix_from(path_, info.snapshot_prefix));
  write_metrics(line.text());
  events_.write(tfrecord(version_event(wall_time())));
  if (info.continued && !info.continued->state.empty() && !history_.has_snapshot(info.first_iteration))
    snapshot(*info.continued);
  if (info.continued || info.first_iteration > 0) continue_results(info.first_iteration);
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
  keep_result(result);
  write_results();
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

void RunFolder::best(const NewBest& best) {
  JsonLine line;
  line.add("event", "best").add("iteration", best.iteration).add("metric", best.metric).add("value", best.value);
  line.add("weights", best.weights).add("retries", int64_t{best.retries});
  write_metrics(line.add("seconds", seconds()).text());
  write_results();
}

void RunFolder::retry(const Retry& retry) {
  const double now = seconds();
  go_back({retry.first_iteration, retry.number});
  open_files();
  events_.write(tfrecord(version_event(wall_time())));
  JsonLine line;
  line.add("event", "retry").add("iteration", retry.iteration).add("continued_from", retry.first_iteration);
  line.add("rate_factor", retry.rate_factor).add("retries", int64_t{retry.number} - 1);
  write_metrics(line.add("seconds", now).text());
  std::erase_if(tests_, [&](const TestResult& test) { return test.iteration >= retry.first_iteration; });
  write_results();
  write_report();
}

void RunFolder::end(const RunEnd& end) {
  JsonLine line;
  line.add("event", "end").add("iteration", end.iteration).add("outcome", end.outcome);
  line.add("completed", int64_t{end.completed});
  write_metrics(line.add("seconds", seconds()).text());
  check(metrics_.problem());
  write_report();
}

void RunFolder::write_metrics(const std::string& lines) {
  metrics_.write(lines);
  for (const std::string& line : split(lines, '\n')) history_.add(line);
}

void RunFolder::continue_results(int64_t iteration) {
  const std::string text = read_file(path_ + "/" + kResults);
  if (text.empty()) return;
  tests_ = read_results(text);
  std::erase_if(tests_, [&](const TestResult& test) { return test.iteration >= iteration; });
  write_results();
}

void RunFolder::keep_result(const TestResult& result) {
  const auto place = std::ranges::lower_bound(tests_, result.net, {}, &TestResult::net);
  if (place != tests_.end() && place->net == result.net) {
    *place = result;
  } else {
    tests_.insert(place, result);
  }
}

void RunFolder::write_results() { write_text(kResults, results_json(tests_, class_names_, history_.best)); }

void RunFolder::write_report() {
  write_text("report.html", html_report(history_, html_tests(tests_, class_names_), net_text_, solver_text_));
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
