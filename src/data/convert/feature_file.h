// The output of `trainer extract_features`: the rows of a blob, batch after batch, as a database, an HDF5 file or an
// array.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tensor/shape.h"

namespace trainer {

class FeatureFile {
 public:
  virtual ~FeatureFile() = default;
  // Appends the blob's values of one more batch; axis 0 counts its rows, and a scalar is one row. A change of the shape
  // of a row is a data_error.
  void append(const Shape& shape, const float* values);
  // Moves the written rows to their target. Without it no files remain.
  virtual void finish() = 0;
  int64_t rows() const { return rows_; }

 protected:
  virtual void begin(const Shape& shape) = 0;
  virtual void add(const float* values) = 0;

  int64_t batch_rows() const { return shape_.rank() == 0 ? 1 : shape_[0]; }
  Shape shape_;
  int64_t rows_ = 0;
  bool begun_ = false;
};

struct FeatureRequest {
  std::string kind;  // one of feature_kinds()
  std::string blob;
  std::string path;
  int64_t batches = 0;  // the last one may have fewer rows
};

// "lmdb", "leveldb": Datum records with channels, height and width (Caffe's axes 1 to 3) and float_data, keys
// 0000000000, ... "hdf5": a dataset with the blob's name, (rows, ...).   "npy": an array (rows, ...).
const std::vector<std::string>& feature_kinds();
// An unknown kind is a config_error.
void check_feature_kind(const std::string& kind);

// Throws data_error if the target exists; nothing is overwritten.
std::unique_ptr<FeatureFile> make_feature_file(const FeatureRequest& request);

}  // namespace trainer
