// metrics.jsonl read back.
#include "report/run_history.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>

namespace trainer {
namespace {

std::string field(const JsonFields& fields, const char* key) {
  const auto found = fields.find(key);
  return found == fields.end() ? "" : found->second;
}

double number(const JsonFields& fields, const char* key) { return std::atof(field(fields, key).c_str()); }

Series& series_of(RunHistory& history, const std::string& split, const std::string& name) {
  for (Series& series : history.series) {
    if (series.split == split && series.name == name) return series;
  }
  history.series.push_back({split, name, false, {}, 0});
  return history.series.back();
}

void add_point(RunHistory& history, const JsonFields& fields) {
  Series& series = series_of(history, field(fields, "split"), field(fields, "name"));
  series.loss = series.loss || fields.count("loss_weight") != 0;
  const auto iteration = static_cast<int64_t>(number(fields, "iteration"));
  while (!series.points.empty() && series.points.back().iteration >= iteration) series.points.pop_back();
  if (field(fields, "value") == "null") {
    ++series.not_finite;
  } else {
    series.points.push_back({iteration, number(fields, "value")});
  }
}

bool less_value(const SeriesPoint& a, const SeriesPoint& b) { return a.value < b.value; }

}  // namespace

const SeriesPoint* Series::highest() const {
  return points.empty() ? nullptr : &*std::max_element(points.begin(), points.end(), less_value);
}

const SeriesPoint* Series::lowest() const {
  return points.empty() ? nullptr : &*std::min_element(points.begin(), points.end(), less_value);
}

RunHistory read_history(const std::string& path) {
  RunHistory history;
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    const std::optional<JsonFields> fields = parse_json_line(line);
    if (!fields) continue;
    const std::string event = field(*fields, "event");
    if (event == "begin") {
      history.begin = *fields;
      history.end.clear();
    } else if (event == "end") {
      history.end = *fields;
    } else if (event == "snapshot") {
      history.snapshots.push_back(*fields);
    } else if (fields->count("value") != 0) {
      add_point(history, *fields);
    }
    if (fields->count("seconds") != 0) history.seconds = number(*fields, "seconds");
  }
  return history;
}

}  // namespace trainer
