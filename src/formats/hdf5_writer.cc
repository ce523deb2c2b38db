// Writes and appends to an HDF5 file.
#include <algorithm>
#include <utility>

#include "base/error.h"
#include "formats/hdf5_file.h"
#include "formats/hdf5_library.h"

namespace trainer {
namespace {

constexpr int64_t kChunkBytes = 256 * 1024;

// No timestamps, so that equal values give equal files.
Hdf5Handle dataset_properties() {
  const hid_t id = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_obj_track_times(id, false);
  return Hdf5Handle(id, H5Pclose);
}

Hdf5Handle link_properties() {
  const hid_t id = H5Pcreate(H5P_LINK_CREATE);
  H5Pset_create_intermediate_group(id, 1);
  return Hdf5Handle(id, H5Pclose);
}

}  // namespace

void Hdf5File::make_group(const std::string& name) {
  const Hdf5Call call;
  if (has_group(name)) return;
  const Hdf5Handle links = link_properties();
  const Hdf5Handle group(H5Gcreate2(id_, name.c_str(), links, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  if (group < 0) throw data_error("{}: cannot create group \"{}\": {}", path_, name, hdf5_reason());
  check_fault();
}

void Hdf5File::write_mark(const std::string& name) {
  const Hdf5Call call;
  const Hdf5Handle space(H5Screate(H5S_NULL), H5Sclose);
  const Hdf5Handle mark(H5Acreate2(id_, name.c_str(), H5T_NATIVE_INT32, space, H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
  if (mark < 0) throw data_error("{}: cannot create attribute \"{}\": {}", path_, name, hdf5_reason());
  check_fault();
}

void Hdf5File::write(const std::string& name, const Shape& shape, int64_t type, const void* values) {
  const std::vector<hsize_t> dims = extents_of(shape);
  const Hdf5Handle space(
      shape.rank() == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(shape.rank(), dims.data(), nullptr), H5Sclose);
  const Hdf5Handle links = link_properties(), properties = dataset_properties();
  const Hdf5Handle dataset(space < 0 ? -1 : H5Dcreate2(id_, name.c_str(), type, space, links, properties, H5P_DEFAULT),
                           H5Dclose);
  if (dataset < 0) throw data_error("{}: cannot create dataset \"{}\": {}", path_, name, hdf5_reason());
  if (shape.count() > 0 && H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) < 0) {
    throw data_error("{}: cannot write dataset \"{}\": {}", path_, name, hdf5_reason());
  }
  check_fault();
}

void Hdf5File::write_floats(const std::string& name, const Shape& shape, const float* values) {
  const Hdf5Call call;
  write(name, shape, H5T_NATIVE_FLOAT, values);
}

void Hdf5File::write_ints(const std::string& name, const Shape& shape, const int32_t* values) {
  const Hdf5Call call;
  write(name, shape, H5T_NATIVE_INT32, values);
}

void Hdf5File::write_bytes(const std::string& name, const Shape& shape, const uint8_t* values) {
  const Hdf5Call call;
  write(name, shape, H5T_NATIVE_UINT8, values);
}

// Early allocation fixes the place of the rows in the file.
void Hdf5File::make_rows(const std::string& name, const Shape& shape, int64_t type) {
  const std::vector<hsize_t> dims = extents_of(shape);
  const Hdf5Handle space(H5Screate_simple(shape.rank(), dims.data(), nullptr), H5Sclose);
  const Hdf5Handle links = link_properties(), properties = dataset_properties();
  H5Pset_alloc_time(properties, H5D_ALLOC_TIME_EARLY);
  H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER);
  const Hdf5Handle dataset(space < 0 ? -1 : H5Dcreate2(id_, name.c_str(), type, space, links, properties, H5P_DEFAULT),
                           H5Dclose);
  if (dataset < 0) throw data_error("{}: cannot create dataset \"{}\": {}", path_, name, hdf5_reason());
  check_fault();
}

void Hdf5File::make_float_rows(const std::string& name, const Shape& shape) {
  const Hdf5Call call;
  make_rows(name, shape, H5T_NATIVE_FLOAT);
}

void Hdf5File::make_byte_rows(const std::string& name, const Shape& shape) {
  const Hdf5Call call;
  make_rows(name, shape, H5T_NATIVE_UINT8);
}

void Hdf5File::write_rows(const std::string& name, int64_t begin, int64_t end, int64_t type, const void* values) {
  const Shape shape = dataset(name).shape;
  TRAINER_ASSERT(shape.rank() > 0 && begin >= 0 && begin <= end && end <= shape[0]);
  const Hdf5Handle target(H5Dopen2(id_, name.c_str(), H5P_DEFAULT), H5Dclose);
  std::vector<hsize_t> start(static_cast<size_t>(shape.rank()), 0), count = extents_of(shape);
  start[0] = static_cast<hsize_t>(begin);
  count[0] = static_cast<hsize_t>(end - begin);
  const Hdf5Handle stored(H5Dget_space(target), H5Sclose);
  const Hdf5Handle memory(H5Screate_simple(shape.rank(), count.data(), nullptr), H5Sclose);
  if (H5Sselect_hyperslab(stored, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0 ||
      H5Dwrite(target, type, memory, stored, H5P_DEFAULT, values) < 0)
    throw data_error("{}: cannot write rows of dataset \"{}\": {}", path_, name, hdf5_reason());
  check_fault();
}

void Hdf5File::write_rows(const std::string& name, int64_t begin, int64_t end, const float* values) {
  const Hdf5Call call;
  write_rows(name, begin, end, H5T_NATIVE_FLOAT, values);
}

void Hdf5File::write_rows(const std::string& name, int64_t begin, int64_t end, const uint8_t* values) {
  const Hdf5Call call;
  write_rows(name, begin, end, H5T_NATIVE_UINT8, values);
}

void Hdf5File::write_string(const std::string& name, const std::string& value) {
  const Hdf5Call call;
  const Hdf5Handle type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type, value.size() + 1);
  write(name, Shape(), type, value.c_str());
}

Hdf5Appender::Hdf5Appender(Hdf5File& file, const std::string& name, const Shape& row_shape)
    : file_(&file), name_(name), row_shape_(row_shape) {
  const Hdf5Call call;
  std::vector<hsize_t> dims = extents_of(row_shape);
  dims.insert(dims.begin(), 0);
  std::vector<hsize_t> most = dims;
  most[0] = H5S_UNLIMITED;
  std::vector<hsize_t> chunk = dims;
  const int64_t row_bytes = std::max<int64_t>(row_shape.count() * 4, 4);
  chunk[0] = static_cast<hsize_t>(std::max<int64_t>(kChunkBytes / row_bytes, 1));
  int64_t chunk_bytes = static_cast<int64_t>(chunk[0]) * row_bytes;
  for (size_t axis = 1; axis < chunk.size(); ++axis) {
    chunk[axis] = std::max<hsize_t>(chunk[axis], 1);
    while (chunk_bytes > kChunkBytes && chunk[axis] > 1) {
      chunk[axis] = (chunk[axis] + 1) / 2;
      chunk_bytes = (chunk_bytes + 1) / 2;
    }
  }
  const Hdf5Handle properties = dataset_properties(), links = link_properties();
  const Hdf5Handle space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), most.data()), H5Sclose);
  if (space >= 0 && H5Pset_chunk(properties, static_cast<int>(chunk.size()), chunk.data()) >= 0) {
    id_ = H5Dcreate2(file.id_, name.c_str(), H5T_NATIVE_FLOAT, space, links, properties, H5P_DEFAULT);
  }
  if (id_ < 0) throw data_error("{}: cannot create dataset \"{}\": {}", file.path(), name, hdf5_reason());
}

Hdf5Appender::Hdf5Appender(Hdf5Appender&& other) noexcept
    : file_(other.file_),
      name_(std::move(other.name_)),
      row_shape_(std::move(other.row_shape_)),
      id_(std::exchange(other.id_, -1)),
      rows_(other.rows_) {}

Hdf5Appender::~Hdf5Appender() {
  // Closing the file has already closed its datasets.
  if (id_ < 0 || file_->id_ < 0) return;
  const Hdf5Call call;
  H5Dclose(id_);
}

void Hdf5Appender::append(const float* values, int64_t count) {
  const Hdf5Call call;
  TRAINER_ASSERT(file_->id_ >= 0);
  std::vector<hsize_t> dims = extents_of(row_shape_);
  dims.insert(dims.begin(), static_cast<hsize_t>(rows_ + count));
  bool done = H5Dset_extent(id_, dims.data()) >= 0;
  if (done && count > 0 && row_shape_.count() > 0) {
    std::vector<hsize_t> start(dims.size(), 0);
    start[0] = static_cast<hsize_t>(rows_);
    dims[0] = static_cast<hsize_t>(count);
    const Hdf5Handle stored(H5Dget_space(id_), H5Sclose);
    const Hdf5Handle memory(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr), H5Sclose);
    done = H5Sselect_hyperslab(stored, H5S_SELECT_SET, start.data(), nullptr, dims.data(), nullptr) >= 0 &&
           H5Dwrite(id_, H5T_NATIVE_FLOAT, memory, stored, H5P_DEFAULT, values) >= 0;
  }
  if (!done) throw data_error("{}: cannot append to dataset \"{}\": {}", file_->path(), name_, hdf5_reason());
  file_->check_fault();
  rows_ += count;
}

}  // namespace trainer
