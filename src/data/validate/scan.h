// Reads a data set once, as stored, with several threads, and collects all that is wrong with it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "data/batch_feed.h"
#include "data/validate/record_signature.h"
#include "data/validate/statistics.h"
#include "layers/label_range.h"

namespace trainer {

// Records with one kind of problem.
struct BadRecords {
  static constexpr size_t kMostNamed = 10;

  uint64_t count = 0;
  std::map<uint64_t, std::string> first;  // texts of the first ones by record: "a.jpg: the file is empty"

  void add(uint64_t record, const std::string& text);
  void add(const BadRecords& other);
};

struct DataScan {
  uint64_t records = 0;  // of the data set; fewer are in `statistics` if some cannot be used
  DataStatistics statistics;
  BadRecords unusable;
  std::map<std::string, BadRecords> labels;  // outside a range, by its consumer
  std::vector<RecordSignature> signatures;   // by record
  // All of the first kHopeless records, or all that there are, cannot be used: the rest was not read.
  bool hopeless = false;
  static constexpr uint64_t kHopeless = 1000;
};

struct ScanOptions {
  int threads = 1;
  std::vector<std::pair<size_t, LabelRange>> labels;  // the ranges of each top
  // Called by the thread of scan_data_set() with the numbers of records, several times a second; an Error that it
  // throws ends the scan.
  std::function<void(int64_t done, int64_t total)> progress;
};

// The origin of a record, for messages.
std::string describe_record(BatchFeed& feed, uint64_t index);

DataScan scan_data_set(BatchFeed& feed, const ScanOptions& options);

}  // namespace trainer
