// Each thread reads blocks of records and keeps its own sums.
#include "data/validate/scan.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "base/error.h"
#include "data/label_check.h"
#include "data/pictures/image_decoder.h"
#include "data/validate/content_hash.h"

namespace trainer {
namespace {

constexpr uint64_t kBlock = 32;  // records claimed at once

// The sums of one thread, and what it reads with.
struct Worker {
  explicit Worker(BatchFeed& feed) : reader(feed.make_stored_reader()) {}

  std::unique_ptr<StoredReader> reader;
  ImageDecoder decoder;
  PerceptualHash appearance;
  DataStatistics statistics;
  BadRecords unusable;
  std::map<std::string, BadRecords> labels;
};

// "JPEG color", "8-bit values".
std::string kind_of(const StoredRecord& record, ImageDecoder& decoder) {
  if (record.file.empty()) return record.pixels.bytes != nullptr ? "8-bit values" : "floats";
  const int64_t channels = decoder.shape(record.file, ColorMode::kAsStored).channels;
  return std::string(format_of(record.file).name) + (channels == 1   ? " gray"
                                                     : channels == 4 ? " with alpha"
                                                                     : " color");
}

// Throws a data_error for values that no net computes with.
void check_finite(const StoredRecord& record) {
  for (const StoredRecord::Label& label : record.labels) {
    for (const float value : label.values) {
      if (!std::isfinite(value))
        throw data_error("a value of its label is {}: replace it, or remove the record", value);
    }
  }
  if (record.pixels.floats == nullptr) return;
  const float* values = record.pixels.floats;
  const float* end = values + record.pixels.shape.count();
  const float* bad = std::find_if_not(values, end, [](float x) { return std::isfinite(x); });
  if (bad != end) throw data_error("value {} of the item is {}: replace it, or remove the record", bad - values, *bad);
}

int32_t class_of(const StoredRecord& record) {
  if (record.labels.size() != 1 || record.labels.front().values.size() != 1) return RecordSignature::kNoLabel;
  const float label = record.labels.front().values.front();
  const bool whole = label == std::trunc(label) && std::abs(label) < 1e9f;
  return whole ? static_cast<int32_t>(label) : RecordSignature::kNoLabel;
}

// The first problem of the values of a top, or "".
std::string problem_of(const StoredRecord& record, size_t top, const LabelRange& range) {
  for (const StoredRecord::Label& label : record.labels) {
    if (label.top != top) continue;
    for (const float value : label.values) {
      if (std::string problem = label_problem(value, range); !problem.empty()) return problem;
    }
  }
  if (record.mask.bytes == nullptr || top != 1) return "";
  std::array<bool, 256> seen{};
  for (int64_t i = 0; i < record.mask.shape.count(); ++i) seen[record.mask.bytes[i]] = true;
  for (size_t value = 0; value < seen.size(); ++value) {
    if (!seen[value]) continue;
    if (std::string problem = label_problem(static_cast<float>(value), range); !problem.empty()) return problem;
  }
  return "";
}

class Scan {
 public:
  Scan(BatchFeed& feed, const ScanOptions& options) : feed_(feed), options_(options) {
    result_.records = feed.stored_records();
    result_.signatures.resize(result_.records);
  }

  DataScan run() {
    const int count = feed_.parallel() ? std::max(1, options_.threads) : 1;
    std::vector<std::thread> threads;
    try {
      running_ = count;
      for (int i = 0; i < count; ++i) threads.emplace_back([this] { work(); });
      watch();
    } catch (...) {
      fail(std::current_exception());
    }
    for (std::thread& thread : threads) thread.join();
    if (problem_) std::rethrow_exception(problem_);
    return std::move(result_);
  }

 private:
  // Reports the progress until all threads have ended.
  void watch() {
    const auto total = static_cast<int64_t>(result_.records);
    bool ended = false;
    while (!ended) {
      if (options_.progress) options_.progress(static_cast<int64_t>(done_.load()), total);
      std::unique_lock<std::mutex> lock(mutex_);
      ended = ended_.wait_for(lock, std::chrono::milliseconds(50), [this] { return running_ == 0; });
    }
  }

  // The first problem ends all threads; run() throws it.
  void fail(std::exception_ptr problem) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!problem_) problem_ = std::move(problem);
    stopping_ = true;
  }

  void work() {
    try {
      Worker worker(feed_);
      for (uint64_t first = claim(*worker.reader); first < result_.records; first = claim(*worker.reader)) {
        const uint64_t end = std::min(first + kBlock, result_.records);
        for (uint64_t i = first; i < end && !stopping_; ++i) read(worker, i);
      }
      const std::lock_guard<std::mutex> lock(mutex_);
      result_.statistics.add(worker.statistics);
      result_.unusable.add(worker.unusable);
      for (const auto& [consumer, records] : worker.labels) result_.labels[consumer].add(records);
    } catch (...) {
      fail(std::current_exception());
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    --running_;
    ended_.notify_one();
  }

  // The first record of the next block; the number of records if there is none.
  uint64_t claim(StoredReader& reader) {
    const std::lock_guard<std::mutex> lock(claim_mutex_);
    const uint64_t first = stopping_ ? result_.records : claimed_;
    if (first >= result_.records) return result_.records;
    const uint64_t count = std::min(kBlock, result_.records - first);
    reader.claim(first, count);
    claimed_ = first + count;
    return first;
  }

  void read(Worker& worker, uint64_t index) {
    try {
      add(worker, worker.reader->read(index), index);
      ++used_;
    } catch (const Error& error) {
      if (error.code() != ExitCode::kData) throw;
      worker.unusable.add(index, fmt::format("{}: {}", worker.reader->describe(index), error.what()));
    }
    if (++done_ == std::min(DataScan::kHopeless, result_.records) && used_ == 0) {
      const std::lock_guard<std::mutex> lock(mutex_);
      result_.hopeless = stopping_ = true;
    }
  }

  void add(Worker& worker, const StoredRecord& record, uint64_t index) {
    check_finite(record);
    worker.statistics.add(record, kind_of(record, worker.decoder), index);
    RecordSignature& signature = result_.signatures[index];
    signature.content = content_hash(record.pixels);
    const std::optional<Appearance> appearance = worker.appearance.of(record.pixels);
    signature.has_appearance = appearance.has_value();
    if (appearance) signature.appearance = *appearance;
    signature.label = class_of(record);
    signature.usable = true;
    for (const auto& [top, range] : options_.labels) {
      const std::string problem = problem_of(record, top, range);
      if (!problem.empty())
        worker.labels[range.consumer].add(index, fmt::format("{}: {}", worker.reader->describe(index), problem));
    }
  }

  BatchFeed& feed_;
  const ScanOptions& options_;
  std::mutex claim_mutex_;
  uint64_t claimed_ = 0;  // guarded by claim_mutex_
  std::atomic<uint64_t> done_ = 0, used_ = 0;
  std::atomic<bool> stopping_ = false;

  std::mutex mutex_;
  std::condition_variable ended_;
  int running_ = 0;  // threads, guarded by mutex_
  std::exception_ptr problem_;
  DataScan result_;
};

}  // namespace

void BadRecords::add(uint64_t record, const std::string& text) {
  ++count;
  first.emplace(record, text);
  if (first.size() > kMostNamed) first.erase(std::prev(first.end()));
}

void BadRecords::add(const BadRecords& other) {
  count += other.count;
  first.insert(other.first.begin(), other.first.end());
  while (first.size() > kMostNamed) first.erase(std::prev(first.end()));
}

std::string describe_record(BatchFeed& feed, uint64_t index) {
  const std::unique_ptr<StoredReader> reader = feed.make_stored_reader();
  reader->claim(index, 1);
  return reader->describe(index);
}

DataScan scan_data_set(BatchFeed& feed, const ScanOptions& options) { return Scan(feed, options).run(); }

}  // namespace trainer
