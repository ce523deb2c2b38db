// What a kind of data layer gives to the pipeline: shapes of batches, and rows filled by workers.
//
// Each data source (data_source.h) opens a BatchFeed; those of pictures share PictureFeed, over a RecordSource each.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tensor/shape.h"

namespace trainer {

// One batch in memory. Row r of a top is contiguous in either order, because axis 0 is outermost in both.
struct BatchBuffer {
  std::vector<TensorDesc> layout;
  std::vector<void*> data;

  float* row(size_t top, int64_t row) const {
    return static_cast<float*>(data[top]) + row * layout[top].shape.count(1);
  }
};

// Consecutive rows of one batch. Row i (0 <= i < rows) holds the record at running offset first_offset + i *
// stride.
struct RowRange {
  int64_t first_row = 0;
  int64_t rows = 0;
  uint64_t first_offset = 0;
  uint64_t stride = 1;

  uint64_t offset(int64_t i) const { return first_offset + static_cast<uint64_t>(i) * stride; }
};

// Bad records that were left out of one batch: the row that another record took, and what was wrong.
using SkippedRecords = std::vector<std::pair<int64_t, std::string>>;

// One worker thread's share of a feed: the rows it has claimed and its own scratch memory.
class FeedWorker {
 public:
  virtual ~FeedWorker() = default;
  // Takes hold of the records of `range`. Ranges are claimed in the order of the stream, by one worker at a
  // time.
  virtual void claim(const RowRange& range) = 0;
  // Writes row range.first_row + i of every top. Where the feed is parallel(), workers do this at the same
  // time.
  virtual void fill(int64_t i, const BatchBuffer& batch, SkippedRecords& skipped) = 0;
  // Where claimed row i comes from, for messages: `record 7 (key "00000007") of /data/train_lmdb`.
  virtual std::string describe(int64_t i) const = 0;
};

class BatchFeed {
 public:
  virtual ~BatchFeed() = default;
  virtual size_t tops() const = 0;
  virtual int64_t batch_size() const = 0;
  virtual int64_t records_per_epoch() const = 0;
  // Distinguishes data sets, in later runs too: the number of records, the first and the last one. One line.
  virtual std::string content() = 0;
  // False: one worker only.
  virtual bool parallel() const = 0;
  // Paths of the HDF5 files that batches are read from: HDF5Output must not replace them.
  virtual std::vector<std::string> files() const { return {}; }
  // Bytes that the feed itself keeps beside the batches.
  virtual int64_t memory_bytes() const = 0;
  // Shapes of the batch that starts at `offset`, batch size first. Never at the same time as a claim().
  virtual void shape_batch(uint64_t offset, std::vector<TensorDesc>& layout) = 0;
  virtual std::unique_ptr<FeedWorker> make_worker() = 0;
};

using LogLine = std::function<void(const std::string&)>;

}  // namespace trainer
