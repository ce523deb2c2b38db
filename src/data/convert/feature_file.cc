// Writers of the feature file kinds.
#include "data/convert/feature_file.h"

#include <optional>

#include "base/error.h"
#include "data/records/record_writer.h"
#include "formats/atomic_file.h"
#include "formats/datum.h"
#include "formats/hdf5_file.h"
#include "formats/npy_writer.h"

namespace trainer {
namespace {

constexpr int kDatumAxes = 4;

Shape row_of(const Shape& shape) {
  return shape.rank() == 0 ? shape : Shape(std::vector<int64_t>(shape.dims().begin() + 1, shape.dims().end()));
}

class DatabaseFeatures : public FeatureFile {
 public:
  explicit DatabaseFeatures(const FeatureRequest& request)
      : blob_(request.blob), writer_(make_record_writer(request.kind, request.path)) {}
  void finish() override { writer_->finish(); }

 private:
  void begin(const Shape& shape) override {
    if (shape.rank() > kDatumAxes)
      throw config_error("blob \"{}\" is {}: a record of a database has 3 axes at most. Extract it to hdf5 or npy",
                         blob_, shape.text());
  }
  void add(const float* values) override {
    const auto extent = [this](int axis) { return static_cast<int32_t>(axis < shape_.rank() ? shape_[axis] : 1); };
    const int64_t size = shape_.count() / batch_rows();
    for (int64_t row = 0; row < batch_rows(); ++row) {
      const std::vector<float> picture(values + row * size, values + (row + 1) * size);
      writer_->put(fmt::format("{:010}", rows_ + row), serialize_datum(extent(1), extent(2), extent(3), picture, 0));
    }
  }

  std::string blob_;
  std::unique_ptr<RecordWriter> writer_;
};

class Hdf5Features : public FeatureFile {
 public:
  explicit Hdf5Features(const FeatureRequest& request)
      : blob_(request.blob),
        place_(request.path, 0, Existing::kKept),
        file_(Hdf5File::create(place_.temporary_path(), request.path)) {}
  void finish() override {
    rows_of_blob_.reset();
    file_.close();
    place_.commit();
  }

 private:
  void begin(const Shape& shape) override { rows_of_blob_.emplace(file_, blob_, row_of(shape)); }
  void add(const float* values) override { rows_of_blob_->append(values, batch_rows()); }

  std::string blob_;
  AtomicFile place_;
  Hdf5File file_;
  std::optional<Hdf5Appender> rows_of_blob_;
};

class NpyFeatures : public FeatureFile {
 public:
  explicit NpyFeatures(const FeatureRequest& request) : request_(request) {}
  void finish() override { writer_->finish(); }

 private:
  void begin(const Shape& shape) override {
    std::vector<int64_t> dims = shape.dims();
    if (dims.empty()) dims.push_back(1);
    dims[0] *= request_.batches;
    writer_.emplace(request_.path, Shape(dims));
  }
  void add(const float* values) override { writer_->write(values, shape_.count()); }

  FeatureRequest request_;
  std::optional<NpyWriter> writer_;
};

}  // namespace

void FeatureFile::append(const Shape& shape, const float* values) {
  if (!begun_) begin(shape);
  if (begun_ && (shape.rank() != shape_.rank() || row_of(shape) != row_of(shape_)))
    throw data_error("a blob is {} in one batch and {} in a later one: its rows do not fit into one file",
                     shape_.text(), shape.text());
  shape_ = shape;
  begun_ = true;
  add(values);
  rows_ += batch_rows();
}

const std::vector<std::string>& feature_kinds() {
  static const std::vector<std::string> kinds = {"lmdb", "leveldb", "hdf5", "npy"};
  return kinds;
}

void check_feature_kind(const std::string& kind) {
  for (const std::string& known : feature_kinds()) {
    if (kind == known) return;
  }
  throw config_error("unknown kind of features \"{}\"; known: {}", kind, fmt::join(feature_kinds(), ", "));
}

std::unique_ptr<FeatureFile> make_feature_file(const FeatureRequest& request) {
  refuse_existing(request.path);
  if (request.kind == "lmdb" || request.kind == "leveldb") return std::make_unique<DatabaseFeatures>(request);
  if (request.kind == "hdf5") return std::make_unique<Hdf5Features>(request);
  TRAINER_ASSERT(request.kind == "npy");
  return std::make_unique<NpyFeatures>(request);
}

}  // namespace trainer
