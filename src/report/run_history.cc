// Parses lines of metrics.jsonl and keeps them in bounded memory.
#include "report/run_history.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace trainer {
namespace {

// A longer series drops every other point of its older half, except the lowest and the highest.
constexpr size_t kMostPoints = 4000;
constexpr size_t kMostSnapshots = 1000;

Series& series_of(RunHistory& history, const std::string& split, const std::string& name) {
  for (Series& series : history.series) {
    if (series.split == split && series.name == name) return series;
  }
  history.series.push_back({split, name, false, {}, 0});
  return history.series.back();
}

bool less_value(const SeriesPoint& a, const SeriesPoint& b) { return a.value < b.value; }

void thin(std::vector<SeriesPoint>& points) {
  const auto [lowest, highest] = std::minmax_element(points.begin(), points.end(), less_value);
  const auto half = points.begin() + static_cast<std::ptrdiff_t>(points.size() / 2);
  auto kept = points.begin();
  for (auto point = points.begin(); point != half; ++point) {
    if ((point - points.begin()) % 2 == 0 || point == lowest || point == highest) *kept++ = *point;
  }
  points.erase(kept, half);
}

}  // namespace

void RunHistory::add_point(const JsonFields& fields) {
  Series& series = series_of(*this, field(fields, "split"), field(fields, "name"));
  series.loss = series.loss || fields.count("loss_weight") != 0;
  const auto iteration = static_cast<int64_t>(number(fields, "iteration"));
  while (!series.points.empty() && series.points.back().iteration >= iteration) series.points.pop_back();
  if (field(fields, "value") == "null") {
    ++series.not_finite;
  } else {
    series.points.push_back({iteration, number(fields, "value")});
  }
  if (series.points.size() > kMostPoints) thin(series.points);
}

void RunHistory::add(const std::string& line) {
  const std::optional<JsonFields> fields = parse_json_line(line);
  if (!fields) return;
  const std::string event = field(*fields, "event");
  if (event == "begin") {
    begin = *fields;
    end.clear();
    if (started.empty() || number(*fields, "first_iteration") == 0) started = field(*fields, "time");
  } else if (event == "end") {
    end = *fields;
  } else if (event == "best") {
    best = *fields;
  } else if (event == "retry") {
    retries.push_back(*fields);
  } else if (event == "snapshot") {
    snapshots.push_back(*fields);
    if (snapshots.size() > kMostSnapshots) snapshots.erase(snapshots.begin(), snapshots.begin() + kMostSnapshots / 2);
  } else if (fields->count("value") != 0) {
    add_point(*fields);
  }
  if (fields->count("seconds") != 0) seconds = number(*fields, "seconds");
}

bool RunHistory::has_snapshot(int64_t iteration) const {
  return std::any_of(snapshots.begin(), snapshots.end(), [&](const JsonFields& snapshot) {
    return number(snapshot, "iteration") == static_cast<double>(iteration);
  });
}

const SeriesPoint* Series::highest() const {
  return points.empty() ? nullptr : &*std::max_element(points.begin(), points.end(), less_value);
}

const SeriesPoint* Series::lowest() const {
  return points.empty() ? nullptr : &*std::min_element(points.begin(), points.end(), less_value);
}

// A snapshot is written before the tests and the iteration of its number. Best values and retries of an attempt that a
// retry ended stay.
bool is_repeated(const JsonFields& line, const RunPoint& point) {
  const std::string event = field(line, "event");
  const double iteration = number(line, "iteration"), first = static_cast<double>(point.iteration);
  if (event == "begin" || event == "end") return false;
  if (event == "snapshot") return iteration > first;
  if (event == "best" || event == "retry") return iteration >= first && number(line, "retries") >= point.retries;
  return iteration >= first;
}

RunHistory read_history(const std::string& path) {
  RunHistory history;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) history.add(line);
  return history;
}

}  // namespace trainer
