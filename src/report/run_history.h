// The curves of a run, for its report: what metrics.jsonl holds, of long runs with fewer points of what is
// long past.
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
  std::vector<SeriesPoint> points;  // iterations rise; values that are not finite are left out
  int64_t not_finite = 0;           // how many those were

  const SeriesPoint* highest() const;
  const SeriesPoint* lowest() const;
};

struct RunHistory {
  // A line of metrics.jsonl; one that is no JSON (cut off by a kill) is skipped. A run that was resumed
  // from an earlier iteration writes these again: the later lines count.
  void add(const std::string& line);

  JsonFields begin;                   // of the last begin line
  JsonFields end;                     // of the last end line; empty while the run goes on
  double seconds = 0;                 // since the last begin
  std::vector<Series> series;         // in order of first appearance
  std::vector<JsonFields> snapshots;  // the last ones

 private:
  void add_point(const JsonFields& fields);
};

RunHistory read_history(const std::string& path);

}  // namespace trainer
