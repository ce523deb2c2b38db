// Writes the header and the values of a .npy file.
#include "formats/npy_writer.h"

#include <fmt/format.h>

#include "base/error.h"

namespace trainer {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kMostDigits = 19;

}  // namespace

// Magic, version 1.0, the length of the header in two bytes, a Python dictionary padded with blanks. The length does
// not depend on the number of rows.
std::string npy_header(const Shape& shape) {
  std::string extents;
  for (int64_t extent : shape.dims()) extents += fmt::format("{}, ", extent);
  std::string text = fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", extents);
  if (shape.rank() > 0) text.append(kMostDigits - std::to_string(shape[0]).size(), ' ');
  const size_t before = 10;
  text.append((kAlignment - (before + text.size() + 1) % kAlignment) % kAlignment, ' ');
  text += '\n';
  std::string out("\x93NUMPY\x01\0", 8);
  out += static_cast<char>(text.size() & 255);
  out += static_cast<char>(text.size() >> 8);
  return out + text;
}

NpyWriter::NpyWriter(const std::string& path, const Shape& shape)
    : shape_(shape), file_(path, shape.count() * 4, Existing::kKept) {
  const std::string text = npy_header(shape_);
  file_.write(text.data(), text.size());
}

void NpyWriter::write(const float* values, int64_t count) {
  written_ += count;
  file_.write(values, static_cast<size_t>(count) * sizeof(float));
}

void NpyWriter::finish() {
  if (written_ != shape_.count()) {
    std::vector<int64_t> dims = shape_.dims();
    const int64_t row = shape_.count() / dims.front();
    TRAINER_ASSERT(written_ % row == 0);
    dims.front() = written_ / row;
    const std::string text = npy_header(Shape(dims));
    file_.replace_begin(text.data(), text.size());
  }
  file_.commit();
}

}  // namespace trainer
