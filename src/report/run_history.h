// metrics.jsonl read back: the curves of a run, for its report.
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
  JsonFields begin;            // of the last begin line
  JsonFields end;              // of the last end line; empty while the run goes on
  double seconds = 0;          // since the last begin
  std::vector<Series> series;  // in order of first appearance
  std::vector<JsonFields> snapshots;
};

// Reads what is there; lines that are no JSON (cut off by a kill) are passed over. A run that was resumed
// from an earlier iteration writes these again: the later lines count.
RunHistory read_history(const std::string& path);

}  // namespace trainer
