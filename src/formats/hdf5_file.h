// One HDF5 file: groups, datasets, strings, read and written through the library's C interface.
//
// Dataset and group names are paths inside the file ("label", "data/conv1/0"). Values are read as float32,
// whatever number type is stored; the library converts. Every failure is a data_error that names the file,
// the object and the library's own reason; nothing is printed.
//
// Threads: a Hdf5File belongs to one thread at a time. Calls from different threads on different files are
// safe: they take one process-wide lock, because the library may be built without its own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tensor/shape.h"

namespace trainer {

struct Hdf5WriteFault;

enum class Hdf5Kind { kFloat, kInteger, kString, kOther };
const char* name_of(Hdf5Kind kind);

struct Hdf5DatasetInfo {
  Shape shape;  // rank 0 for a scalar
  Hdf5Kind kind = Hdf5Kind::kOther;
  int64_t element_bytes = 0;  // as stored

  bool is_number() const { return kind == Hdf5Kind::kFloat || kind == Hdf5Kind::kInteger; }
};

class Hdf5File {
 public:
  // True if the file exists and carries HDF5's signature.
  static bool has_signature(const std::string& path);
  // Opens for reading.
  static Hdf5File open(const std::string& path);
  // Makes a new file or truncates an old one. Errors and path() tell `shown` instead, where given: the final
  // name of a file that is written under a temporary one.
  static Hdf5File create(const std::string& path, const std::string& shown = "");

  Hdf5File(Hdf5File&& other) noexcept;
  Hdf5File& operator=(Hdf5File&& other) noexcept;
  Hdf5File(const Hdf5File&) = delete;
  Hdf5File& operator=(const Hdf5File&) = delete;
  // Closes, errors ignored: a writer calls close() itself.
  ~Hdf5File();

  const std::string& path() const { return path_; }

  bool has_group(const std::string& name) const;
  bool has_dataset(const std::string& name) const;
  // A mark is an attribute of the root group without a value, by which a writer knows its own files again.
  bool has_mark(const std::string& name) const;
  // Names of the direct members of a group ("" or "/" is the root), numbers by value, other names by their
  // letters.
  std::vector<std::string> children(const std::string& group) const;

  Hdf5DatasetInfo dataset(const std::string& name) const;
  // Throws where the dataset's rows were not all written, so that what is missing would read as zeros. One
  // without any stored value passes: it is meant to be zeros.
  void check_stored(const std::string& name) const;
  // The whole dataset, row-major. A size that the file cannot hold is refused before memory is taken.
  std::vector<float> read_floats(const std::string& name) const;
  // Rows [begin, end) of axis 0, into (end - begin) * shape.count(1) floats.
  void read_rows(const std::string& name, int64_t begin, int64_t end, float* out) const;
  std::vector<int32_t> read_ints(const std::string& name) const;
  std::vector<uint8_t> read_bytes(const std::string& name) const;
  // Fixed or variable length; a trailing NUL is dropped.
  std::string read_string(const std::string& name) const;

  // Intermediate groups are made as needed, here and by the writers; making a group that is there does
  // nothing.
  void make_group(const std::string& name);
  void write_mark(const std::string& name);
  // Contiguous float32, int32 or uint8. A rank-0 shape writes a scalar.
  void write_floats(const std::string& name, const Shape& shape, const float* values);
  void write_ints(const std::string& name, const Shape& shape, const int32_t* values);
  void write_bytes(const std::string& name, const Shape& shape, const uint8_t* values);
  // A scalar, fixed length, ended by NUL, as HDF5's lite interface writes it.
  void write_string(const std::string& name, const std::string& value);

  // Hands everything written so far to the operating system.
  void flush();
  // Closes and reports what could not be written. A closed file answers no other call.
  void close();

 private:
  friend class Hdf5Appender;
  Hdf5File(std::string path, int64_t id, std::unique_ptr<Hdf5WriteFault> fault);
  // Throws where the last call, or one before it, could not write to the disk.
  void check_fault() const;
  void write(const std::string& name, const Shape& shape, int64_t type, const void* values);

  std::string path_;
  int64_t id_ = -1;
  std::unique_ptr<Hdf5WriteFault> fault_;  // null in a file that is read
};

// A float32 dataset that grows along axis 0: unlimited there, chunked (about 256 KiB a chunk).
class Hdf5Appender {
 public:
  // Makes dataset `name` with 0 rows of `row_shape` in `file`, which must outlive the appender.
  Hdf5Appender(Hdf5File& file, const std::string& name, const Shape& row_shape);
  Hdf5Appender(Hdf5Appender&& other) noexcept;
  Hdf5Appender& operator=(Hdf5Appender&&) = delete;
  Hdf5Appender(const Hdf5Appender&) = delete;
  Hdf5Appender& operator=(const Hdf5Appender&) = delete;
  ~Hdf5Appender();

  // Appends `count` rows: count * row_shape.count() floats, row-major.
  void append(const float* values, int64_t count);
  int64_t rows() const { return rows_; }
  const Shape& row_shape() const { return row_shape_; }

 private:
  const Hdf5File* file_;
  std::string name_;
  Shape row_shape_;
  int64_t id_ = -1;
  int64_t rows_ = 0;
};

}  // namespace trainer
