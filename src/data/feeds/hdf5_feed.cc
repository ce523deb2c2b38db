// Copies rows of HDF5 files into batches.
#include "data/feeds/hdf5_feed.h"

#include <cmath>
#include <cstring>
#include <span>
#include <utility>

namespace trainer {

namespace {

constexpr float kLargestLabel = 1 << 24;  // floats have each integer below it

void place_row(const float* row, const TensorDesc& top, float* out) {
  const int64_t count = top.shape.count(1);
  if (top.order == MemoryFormat::kRowMajor || orders_coincide(top.shape)) {
    std::memcpy(out, row, static_cast<size_t>(count) * sizeof(float));
    return;
  }
  const int64_t channels = top.shape[1], inner = top.shape.count(2);
  for (int64_t c = 0; c < channels; ++c) {
    for (int64_t i = 0; i < inner; ++i) out[i * channels + c] = row[c * inner + i];
  }
}

class Hdf5Worker : public FeedWorker {
 public:
  explicit Hdf5Worker(Hdf5Rows& rows) : rows_(rows) {}

  void claim(const RowRange& range) override { range_ = range; }
  void fill(int64_t i, const BatchBuffer& batch, SkippedRecords&) override {
    rows_.fetch(range_.offset(i), range_.stride);
    for (size_t top = 0; top < rows_.datasets(); ++top) {
      place_row(rows_.row(top), batch.layout[top], batch.row(top, range_.first_row + i));
    }
  }
  std::string describe(int64_t) const override { return rows_.describe(); }

 private:
  Hdf5Rows& rows_;
  RowRange range_;
};

// The extents of the largest dataset's rows: an image (C,H,W), a plane (H,W) or a list of values.
ItemShape item_shape(const Shape& row) {
  if (row.rank() == 3) return {row[0], row[1], row[2]};
  if (row.rank() == 2) return {1, row[0], row[1]};
  return {1, 1, row.count()};
}

// Takes the dataset with the largest rows as the items, and the others as labels.
class StoredRows : public StoredReader {
 public:
  explicit StoredRows(Hdf5Rows& rows) : rows_(rows) {
    for (size_t i = 1; i < rows_.datasets(); ++i) {
      if (rows_.row_shape(i).count() > rows_.row_shape(items_).count()) items_ = i;
    }
  }

  void claim(uint64_t, uint64_t) override {}
  StoredRecord read(uint64_t i) override {
    rows_.fetch(i);
    StoredRecord record;
    record.item = record.pixels.shape = item_shape(rows_.row_shape(items_));
    record.pixels.floats = rows_.row(items_);
    for (size_t top = 0; top < rows_.datasets(); ++top) {
      if (top != items_)
        record.labels.push_back({top, {rows_.row(top), static_cast<size_t>(rows_.row_shape(top).count())}});
    }
    return record;
  }
  std::string describe(uint64_t i) const override {
    rows_.fetch(i);
    return rows_.describe();
  }

 private:
  Hdf5Rows& rows_;
  size_t items_ = 0;
};

class Hdf5Feed : public BatchFeed {
 public:
  Hdf5Feed(int64_t batch_size, Hdf5Rows rows) : batch_size_(batch_size), rows_(std::move(rows)) {}

  size_t tops() const override { return rows_.datasets(); }
  int64_t batch_size() const override { return batch_size_; }
  int64_t records_per_epoch() const override { return static_cast<int64_t>(rows_.rows()); }
  std::vector<std::string> class_names() const override { return rows_.class_names(); }
  std::string content() override { return rows_.content(); }
  std::optional<LabelCounts> count_labels(size_t top) override;
  bool parallel() const override { return false; }
  std::vector<std::string> files() const override { return rows_.files(); }
  int64_t memory_bytes() const override { return rows_.memory_bytes(); }
  std::unique_ptr<FeedWorker> make_worker() override { return std::make_unique<Hdf5Worker>(rows_); }
  std::unique_ptr<StoredReader> make_stored_reader() override { return std::make_unique<StoredRows>(rows_); }

  void shape_batch(uint64_t, std::vector<TensorDesc>& layout) override {
    for (size_t top = 0; top < layout.size(); ++top) {
      const Shape& row = rows_.row_shape(top);
      if (layout[top].shape.rank() == row.rank() + 1) continue;  // the shape never changes
      std::vector<int64_t> dims{batch_size_};
      dims.insert(dims.end(), row.dims().begin(), row.dims().end());
      layout[top].shape = Shape(std::move(dims));
    }
  }

 private:
  int64_t batch_size_;
  Hdf5Rows rows_;
};

// Numbers that are not whole are left out: they are errors of the batches that have them.
std::optional<LabelCounts> Hdf5Feed::count_labels(size_t top) {
  Hdf5Rows labels(rows_.files(), "", {rows_.dataset(top)}, false, 0);
  const auto values = static_cast<size_t>(labels.row_shape(0).count());
  LabelCounts counts;
  for (uint64_t row = 0; row < labels.rows(); ++row) {
    labels.fetch(row);
    for (const float label : std::span(labels.row(0), values)) {
      if (label == std::floor(label) && std::fabs(label) < kLargestLabel) ++counts[static_cast<int64_t>(label)];
    }
  }
  return counts;
}

}  // namespace

std::unique_ptr<BatchFeed> make_hdf5_feed(int64_t batch_size, Hdf5Rows rows) {
  return std::make_unique<Hdf5Feed>(batch_size, std::move(rows));
}

}  // namespace trainer
