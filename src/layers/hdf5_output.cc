// HDF5Output: appends each batch of two blobs to the data sets "data" and "label" of an HDF5 file. No tops.
//
// A row is (C, H, W): the axes of a blob after the first, padded with extents of 1. The first run of the layer creates
// the file, or replaces an old one; a check of the net does not touch it.
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <system_error>

#include "base/error.h"
#include "formats/hdf5_file.h"
#include "layers/layer.h"
#include "ops/opaque.h"

namespace trainer {
namespace {

constexpr const char* kMark = "trainer_hdf5_output";

bool replaceable(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored) || std::filesystem::file_size(path, ignored) == 0) return true;
  try {
    return Hdf5File::open(path).has_mark(kMark);
  } catch (const Error&) {
    return false;
  }
}

void refuse_foreign_file(const std::string& path) {
  if (!replaceable(path))
    throw data_error(
        "{} exists, but no HDF5Output layer of trainer wrote it; this layer would replace it. Give another file_name, "
        "or remove the file",
        path);
}

// The file that all ops with the same path share: a net is lowered once per shape and kind of pass, and all its passes
// append to the same file. It is closed when the last of these ops is destroyed.
class BatchFile {
 public:
  static std::shared_ptr<BatchFile> of(const std::string& path) {
    static std::mutex mutex;
    static std::map<std::string, std::weak_ptr<BatchFile>> open;
    const std::lock_guard lock(mutex);
    std::shared_ptr<BatchFile> file = open[path].lock();
    if (!file) open[path] = file = std::make_shared<BatchFile>(path);
    return file;
  }

  explicit BatchFile(std::string path) : path_(std::move(path)) {}

  void append(const Shape& data_row, const float* data, const Shape& label_row, const float* label, int64_t rows) {
    const std::lock_guard lock(mutex_);
    if (!contents_) contents_ = std::make_unique<Contents>(path_, data_row, label_row);
    if (contents_->data.row_shape() != data_row || contents_->label.row_shape() != label_row)
      throw data_error("{}: a batch with rows of {} and labels of {} cannot follow rows of {} and labels of {}", path_,
                       data_row.text(), label_row.text(), contents_->data.row_shape().text(),
                       contents_->label.row_shape().text());
    contents_->data.append(data, rows);
    contents_->label.append(label, rows);
    contents_->file.flush();
  }

 private:
  struct Contents {
    Contents(const std::string& path, const Shape& data_row, const Shape& label_row)
        : file(make(path)), data(file, "data", data_row), label(file, "label", label_row) {}
    static Hdf5File make(const std::string& path) {
      refuse_foreign_file(path);
      Hdf5File file = Hdf5File::create(path);
      file.write_mark(kMark);
      return file;
    }
    Hdf5File file;
    Hdf5Appender data, label;
  };

  const std::string path_;
  std::mutex mutex_;
  std::unique_ptr<Contents> contents_;
};

class AppendToHdf5 : public OpaqueOp {
 public:
  // `file` null: the op writes nothing, but its inputs are computed.
  AppendToHdf5(std::shared_ptr<BatchFile> file, int64_t rows, Shape data_row, Shape label_row)
      : file_(std::move(file)), rows_(rows), data_row_(std::move(data_row)), label_row_(std::move(label_row)) {}

  std::string name() const override { return "append_to_hdf5"; }
  bool has_effect() const override { return true; }
  void run(std::span<const float* const> inputs, std::span<float* const>, uint64_t) const override {
    if (file_) file_->append(data_row_, inputs[0], label_row_, inputs[1], rows_);
  }

 private:
  const std::shared_ptr<BatchFile> file_;
  const int64_t rows_;
  const Shape data_row_, label_row_;
};

Shape row_shape(LayerContext& context, int bottom) {
  const Shape& shape = context.shape(bottom);
  if (shape.rank() < 1 || shape.rank() > 4)
    context.fail("bottom", fmt::format("bottom {} \"{}\" is {}", bottom, context.param().bottom(bottom), shape.text()),
                 "HDF5Output writes blobs of 1 to 4 axes");
  std::vector<int64_t> dims(shape.dims().begin() + 1, shape.dims().end());
  dims.resize(3, 1);
  return Shape(dims);
}

void lower(LayerContext& context) {
  const std::string& path = context.param().hdf5_output_param().file_name();
  if (path.empty())
    context.fail("hdf5_output_param", "file_name is missing",
                 "give the HDF5 file to write, for example file_name: \"features.h5\"");
  const Shape data_row = row_shape(context, 0), label_row = row_shape(context, 1);
  const int64_t rows = context.shape(0)[0];
  if (context.shape(1)[0] != rows)
    context.fail("bottom",
                 fmt::format("\"{}\" is {}, \"{}\" is {}", context.param().bottom(0), context.shape(0).text(),
                             context.param().bottom(1), context.shape(1).text()),
                 "both bottoms must have the same first extent");
  std::shared_ptr<BatchFile> file = context.writes_files() ? BatchFile::of(path) : nullptr;
  opaque(context.graph(), std::make_shared<AppendToHdf5>(std::move(file), rows, data_row, label_row),
         {context.bottom(0), context.bottom(1)}, {});
}

REGISTER_LAYER(hdf5_output, .type = "HDF5Output", .summary = "appends every batch to an HDF5 file", .min_bottoms = 2,
               .max_bottoms = 2, .min_tops = 0, .max_tops = 0, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "label" type: "DummyData" top: "label" dummy_data_param { shape { dim: 2 } data_filler { value: 1 } } }
layer { name: "output" type: "HDF5Output" bottom: "x" bottom: "label" hdf5_output_param { file_name: "output.h5" } }
)");

}  // namespace
}  // namespace trainer
