// The interface between a kind of data layer and the pipeline: shapes of batches, and rows that workers fill.
//
// Each data source (data_source.h) opens a BatchFeed; those of pictures share PictureFeed, over a RecordSource each.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/stored_record.h"
#include "layers/label_range.h"
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
  // Of row 0 of the batch.
  uint64_t batch_offset() const { return first_offset - static_cast<uint64_t>(first_row) * stride; }
};

// The batches of a stream that its owner takes: every `every`-th one, beginning with `first` batches after a position.
// Others take the rest.
struct BatchShare {
  uint64_t first = 0, every = 1;

  bool operator==(const BatchShare&) const = default;
};

// Bad records skipped in one batch: the row that another record filled, and the reason.
using SkippedRecords = std::vector<std::pair<int64_t, std::string>>;

// What turns the values of an item of top 0 into pixels of 0 to 255: value / factor[c] + mean[c], with one value or one
// for each channel.
struct ItemColors {
  std::vector<float> mean = {0}, factor = {1};
  bool rgb = false;  // the order of the channels

  float pixel(float value, int64_t channel) const { return value / at(factor, channel) + at(mean, channel); }

 private:
  static float at(const std::vector<float>& values, int64_t channel) {
    return values[values.size() == 1 ? 0 : static_cast<size_t>(channel)];
  }
};

// One worker thread's share of a feed: the rows it has claimed and its own scratch memory.
class FeedWorker {
 public:
  virtual ~FeedWorker() = default;
  // Claims the records of `range`. One worker at a time claims ranges, in the order of the stream.
  virtual void claim(const RowRange& range) = 0;
  // Writes row range.first_row + i of every top. If the feed is parallel(), several workers call this at the same time.
  virtual void fill(int64_t i, const BatchBuffer& batch, SkippedRecords& skipped) = 0;
  // Changes the batch as a whole: called once for each batch, by the worker that filled its last row, unless a row
  // failed. `first_offset` is that of row 0. Does not throw.
  virtual void finish(const BatchBuffer&, uint64_t /*first_offset*/) {}
  // The origin of claimed row i, for messages: `record 7 (key "00000007") of /data/train_lmdb`.
  virtual std::string describe(int64_t i) const = 0;
};

class BatchFeed {
 public:
  virtual ~BatchFeed() = default;
  virtual size_t tops() const = 0;
  virtual int64_t batch_size() const = 0;
  virtual int64_t records_per_epoch() const = 0;
  // Identifies the data set across runs: the number of records, the first and the last record, and of lists a digest.
  // One line.
  virtual std::string content() = 0;
  // False: only one worker.
  virtual bool parallel() const = 0;
  // The names of the classes, by label; empty if they are unknown.
  virtual std::vector<std::string> class_names() const { return {}; }
  // Paths of the HDF5 files that batches are read from. HDF5Output must not replace them.
  virtual std::vector<std::string> files() const { return {}; }
  // Of items that are pictures; nullopt if they are not.
  virtual std::optional<ItemColors> colors() const { return std::nullopt; }
  // Bytes that the feed itself uses, without the batches.
  virtual int64_t memory_bytes() const = 0;
  // Shapes of the batch that starts at `offset`, batch size first. Never called during a claim().
  virtual void shape_batch(uint64_t offset, std::vector<TensorDesc>& layout) = 0;
  virtual std::unique_ptr<FeedWorker> make_worker() = 0;
  // Whether another record replaces one that cannot be used.
  virtual bool skips_bad_records() const { return false; }
  // The number of records that readers number, and a reader. If the feed is not parallel(), one reader at a time
  // exists.
  virtual uint64_t stored_records() const { return static_cast<uint64_t>(records_per_epoch()); }
  virtual std::unique_ptr<StoredReader> make_stored_reader() = 0;
  // The labels of all records, if this top has them; nullopt if it has no labels that are classes. Reads the data set.
  virtual std::optional<LabelCounts> count_labels(size_t /*top*/) { return std::nullopt; }
};

using LogLine = std::function<void(const std::string&)>;

}  // namespace trainer
