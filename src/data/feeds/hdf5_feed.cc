// Reading and placing happen in fill(), in the one worker that there is.
#include "data/feeds/hdf5_feed.h"

#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/philox.h"
#include "data/feeds/hdf5_rows.h"

namespace trainer {

namespace {

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
    rows_.fetch(range_.offset(i));
    for (size_t top = 0; top < rows_.datasets(); ++top) {
      place_row(rows_.row(top), batch.layout[top], batch.row(top, range_.first_row + i));
    }
  }
  std::string describe(int64_t) const override { return rows_.describe(); }

 private:
  Hdf5Rows& rows_;
  RowRange range_;
};

class Hdf5Feed : public BatchFeed {
 public:
  Hdf5Feed(int64_t batch_size, Hdf5Rows rows) : batch_size_(batch_size), rows_(std::move(rows)) {}

  size_t tops() const override { return rows_.datasets(); }
  int64_t batch_size() const override { return batch_size_; }
  int64_t records_per_epoch() const override { return static_cast<int64_t>(rows_.rows()); }
  std::string content() override { return rows_.content(); }
  bool parallel() const override { return false; }
  int64_t memory_bytes() const override { return rows_.memory_bytes(); }
  std::unique_ptr<FeedWorker> make_worker() override { return std::make_unique<Hdf5Worker>(rows_); }

  void shape_batch(uint64_t, std::vector<TensorDesc>& layout) override {
    for (size_t top = 0; top < layout.size(); ++top) {
      const Shape& row = rows_.row_shape(top);
      if (layout[top].shape.rank() == row.rank() + 1) continue;  // never changes
      std::vector<int64_t> dims{batch_size_};
      dims.insert(dims.end(), row.dims().begin(), row.dims().end());
      layout[top].shape = Shape(std::move(dims));
    }
  }

 private:
  int64_t batch_size_;
  Hdf5Rows rows_;
};

}  // namespace

std::unique_ptr<BatchFeed> open_hdf5_feed(const caffe::LayerParameter& layer, const StreamOptions& options) {
  const std::string name = fmt::format("layer '{}' (HDF5Data)", layer.name());
  const caffe::HDF5DataParameter& param = layer.hdf5_data_param();
  if (layer.has_transform_param()) {
    throw config_error(
        "{}: HDF5Data does not transform data. Remove transform_param; a Power layer can scale and shift", name);
  }
  if (layer.top_size() < 1) throw config_error("{} needs at least one top: each is the name of a dataset", name);
  if (!param.has_source() || param.source().empty()) {
    throw config_error("{}: hdf5_data_param.source is missing: a text file that names the HDF5 files", name);
  }
  if (param.batch_size() < 1 || param.batch_size() > std::numeric_limits<int32_t>::max()) {
    throw config_error("{}: hdf5_data_param.batch_size must be at least 1, not {}", name, param.batch_size());
  }
  const uint64_t key = philox_key(options.seed, options.net_name, layer.name(), "shuffle");
  const std::vector<std::string> datasets(layer.top().begin(), layer.top().end());
  try {
    return std::make_unique<Hdf5Feed>(param.batch_size(), Hdf5Rows(param.source(), datasets, param.shuffle(), key));
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("{}: {}", name, error.what()));
  }
}

}  // namespace trainer
