// One HDF5 file: groups, datasets, strings, read and written through the library's C interface.
//
// Dataset and group names are paths inside the file ("label", "data/conv1/0"). The library converts any number type to
// float32 on reading. Every failure is a data_error with the file, the object and the library's reason; nothing is
// printed.
//
// Threads: one thread at a time may use an Hdf5File. Calls from different threads on different files are safe: they
// take one process-wide lock, because the library may be built without its own.
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
  // True if the file exists and has HDF5's signature.
  static bool has_signature(const std::string& path);
  // Opens for reading.
  static Hdf5File open(const std::string& path);
  // Creates a file, or truncates an existing one. Errors and path() show `shown` if it is set: the final name of a file
  // that is written under a temporary name.
  static Hdf5File create(const std::string& path, const std::string& shown = "");
  // Opens a file that create() made, to write more. `shown` as above.
  static Hdf5File reopen(const std::string& path, const std::string& shown = "");

  Hdf5File(Hdf5File&& other) noexcept;
  Hdf5File& operator=(Hdf5File&& other) noexcept;
  Hdf5File(const Hdf5File&) = delete;
  Hdf5File& operator=(const Hdf5File&) = delete;
  // Closes the file and ignores errors: a writer calls close() itself.
  ~Hdf5File();

  const std::string& path() const { return path_; }

  bool has_group(const std::string& name) const;
  bool has_dataset(const std::string& name) const;
  // A mark is an attribute of the root group without a value, by which a writer recognizes its own files.
  bool has_mark(const std::string& name) const;
  // Names of the direct members of a group ("" or "/" is the root): numbers in numeric order, other names in lexical
  // order.
  std::vector<std::string> children(const std::string& group) const;

  Hdf5DatasetInfo dataset(const std::string& name) const;
  // Throws if some rows of the dataset were not written, because these would read as zeros. A dataset without any
  // stored value passes: its zeros are intended.
  void check_stored(const std::string& name) const;
  // Reads the whole dataset, row-major. Throws before allocation if the file cannot hold that many values.
  std::vector<float> read_floats(const std::string& name) const;
  // Reads rows [begin, end) of axis 0 into (end - begin) * shape.count(1) floats.
  void read_rows(const std::string& name, int64_t begin, int64_t end, float* out) const;
  void read_rows(const std::string& name, int64_t begin, int64_t end, uint8_t* out) const;
  std::vector<int32_t> read_ints(const std::string& name) const;
  std::vector<uint8_t> read_bytes(const std::string& name) const;
  // Reads a string of fixed or variable length without a trailing NUL.
  std::string read_string(const std::string& name) const;

  // Creates intermediate groups as needed, as the writers below do; does nothing if the group exists.
  void make_group(const std::string& name);
  void write_mark(const std::string& name);
  // Writes a contiguous dataset of float32, int32 or uint8 values; a rank-0 shape writes a scalar.
  void write_floats(const std::string& name, const Shape& shape, const float* values);
  void write_ints(const std::string& name, const Shape& shape, const int32_t* values);
  void write_bytes(const std::string& name, const Shape& shape, const uint8_t* values);
  // Creates a contiguous dataset whose rows (axis 0) are written later. Once the file is closed, writing rows changes
  // nothing else in it. Rows that are never written are undefined.
  void make_float_rows(const std::string& name, const Shape& shape);
  void make_byte_rows(const std::string& name, const Shape& shape);
  void write_rows(const std::string& name, int64_t begin, int64_t end, const float* values);
  void write_rows(const std::string& name, int64_t begin, int64_t end, const uint8_t* values);
  // Writes a scalar of fixed length, ended by NUL, as HDF5's lite interface does.
  void write_string(const std::string& name, const std::string& value);

  // Passes everything written so far to the operating system.
  void flush();
  // Closes the file and throws if data could not be written. No other call is allowed afterwards.
  void close();

 private:
  friend class Hdf5Appender;
  Hdf5File(std::string path, int64_t id, std::unique_ptr<Hdf5WriteFault> fault);
  // Throws if this call or an earlier one could not write to the disk.
  void check_fault() const;
  void write(const std::string& name, const Shape& shape, int64_t type, const void* values);
  void make_rows(const std::string& name, const Shape& shape, int64_t type);
  void write_rows(const std::string& name, int64_t begin, int64_t end, int64_t type, const void* values);
  void read_rows(const std::string& name, int64_t begin, int64_t end, int64_t type, void* out) const;

  std::string path_;
  int64_t id_ = -1;
  std::unique_ptr<Hdf5WriteFault> fault_;  // null if the file is open for reading
};

// A float32 dataset that grows along axis 0, which is unlimited; chunked (about 256 KiB per chunk).
class Hdf5Appender {
 public:
  // Creates dataset `name` with 0 rows of `row_shape` in `file`, which must outlive the appender.
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
