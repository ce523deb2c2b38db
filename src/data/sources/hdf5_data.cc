// HDF5Data: batches of rows of HDF5 files, one dataset for each top, with the top's name. `source` is a text file that
// lists the files; a row is one index of a dataset's first axis. The one worker reads and copies rows in fill().
#include <cstring>

#include "data/data_source.h"
#include "data/feeds/hdf5_rows.h"
#include "layers/layer.h"

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
  std::vector<std::string> files() const override { return rows_.files(); }
  int64_t memory_bytes() const override { return rows_.memory_bytes(); }
  std::unique_ptr<FeedWorker> make_worker() override { return std::make_unique<Hdf5Worker>(rows_); }

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

void check(SourceContext& context) {
  context.require("hdf5_data_param.source", "give a text file that lists HDF5 files, one per line");
  context.require("hdf5_data_param.batch_size", "give the number of rows in a batch, for example batch_size: 64");
  if (context.layer().has_transform_param())
    context.error("transform_param", "HDF5Data does not transform data",
                  "remove transform_param; a Power or Scale layer can scale, a Bias layer can subtract a mean");
}

Hdf5Rows rows_of(const caffe::LayerParameter& layer, uint64_t key) {
  const caffe::HDF5DataParameter& param = layer.hdf5_data_param();
  return {param.source(), {layer.top().begin(), layer.top().end()}, param.shuffle(), key};
}

std::unique_ptr<BatchFeed> open(SourceContext& context) {
  const caffe::LayerParameter& layer = context.layer();
  return std::make_unique<Hdf5Feed>(layer.hdf5_data_param().batch_size(),
                                    rows_of(layer, context.random_key("shuffle")));
}

void probe(const caffe::LayerParameter& layer) { rows_of(layer, 0); }

REGISTER_SOURCE(hdf5_data, .type = "HDF5Data", .summary = "batches of rows of HDF5 files", .min_tops = 1,
                .max_tops = kAnyNumber, .source = "hdf5_data_param.source", .batch_size = "hdf5_data_param.batch_size",
                .check = check, .open = open, .probe = probe, .example = R"(
layer { name: "data" type: "HDF5Data" top: "data" top: "label"
  hdf5_data_param { source: "train_files.txt" batch_size: 64 } }
)");

}  // namespace
}  // namespace trainer
