// The curves of a run for its report: the content of metrics.jsonl, with fewer of the oldest points for long runs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "report/json_line.h"

namespace trainer {

struct SeriesPoint {
  int64_t iteration;
  double value;
};

struct Series {
  std::string split;  // "train", "test", "test1" for the second test net, ...
  std::string name;
  bool loss = false;                // part of the training loss
  std::vector<SeriesPoint> points;  // in order of iteration, without values that are not finite
  int64_t not_finite = 0;           // the number of such values

  const SeriesPoint* highest() const;
  const SeriesPoint* lowest() const;
};

struct RunHistory {
  // Adds a line of metrics.jsonl; skips text that is not JSON (a line truncated by a kill). A run resumed from an
  // earlier iteration writes its iterations again: the later lines replace the earlier ones.
  void add(const std::string& line);
  // A kill can come between a snapshot and its line.
  bool has_snapshot(int64_t iteration) const;

  JsonFields begin;     // of the last begin line
  std::string started;  // the time of the run's first begin line
  JsonFields end;       // of the last end line; empty during the run
  double seconds = 0;   // of the run
  JsonFields best;      // of the last best line
  std::vector<JsonFields> retries;
  std::vector<Series> series;         // in order of first appearance
  std::vector<JsonFields> snapshots;  // the last ones

 private:
  void add_point(const JsonFields& fields);
};

RunHistory read_history(const std::string& path);

// A point of a run from which it continues.
struct RunPoint {
  int64_t iteration = 0;
  uint32_t retries = 0;  // of divergence so far
};
// Whether a run that continues from this point writes the line again.
bool is_repeated(const JsonFields& line, const RunPoint& point);

}  // namespace trainer
