// Reads NumPy arrays.
#include "formats/npy.h"

#include "base/error.h"

namespace trainer {
namespace {

NpyHeader header_of(const InputFile& file) {
  FileStream stream(file, 0);
  return read_npy_header(file.path(), file.size(), stream);
}

}  // namespace

NpyFile::NpyFile(const std::string& path) : file_(path, "NumPy file"), header_(header_of(file_)) {
  if (header_.fortran_order)
    throw data_error("{}: the array is stored column by column (Fortran order). Save numpy.ascontiguousarray(array)",
                     path);
}

void NpyFile::read_rows(int64_t begin, int64_t end, float* out) const {
  const int64_t rows = shape().rank() == 0 ? 1 : shape()[0];
  const int64_t row_count = shape().rank() == 0 ? 1 : shape().count(1);
  TRAINER_ASSERT(begin >= 0 && begin <= end && end <= rows);
  FileStream stream(file_, header_.bytes + begin * row_count * size_of(type()));
  read_floats(stream, type(), header_.swapped, (end - begin) * row_count, out);
}

}  // namespace trainer
