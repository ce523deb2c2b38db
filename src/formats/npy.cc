// Reads NumPy arrays.
#include "formats/npy.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace trainer {
namespace {

constexpr int64_t kLargestHeader = 1 << 20;
constexpr int64_t kPieceBytes = 1 << 20;

// The text after 'key': in the header's dictionary, or "" if the key is missing.
std::string_view value_of(std::string_view header, std::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const size_t at = header.find(fmt::format("{0}{1}{0}", quote, key));
    if (at == header.npos) continue;
    size_t begin = at + key.size() + 2;
    while (begin < header.size() && (header[begin] == ' ' || header[begin] == ':')) ++begin;
    return header.substr(begin);
  }
  return {};
}

template <typename T>
void convert(const unsigned char* from, int64_t count, bool swapped, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    unsigned char bytes[sizeof(T)];
    std::memcpy(bytes, from + i * static_cast<int64_t>(sizeof(T)), sizeof(T));
    if (swapped) std::reverse(bytes, bytes + sizeof(T));
    T value;
    std::memcpy(&value, bytes, sizeof(T));
    out[i] = static_cast<float>(value);
  }
}

using Converter = void (*)(const unsigned char*, int64_t, bool, float*);

// Null for an unsupported type.
Converter converter_for(char kind, int bytes) {
  switch (kind) {
    case 'f': return bytes == 4 ? convert<float> : bytes == 8 ? convert<double> : nullptr;
    case 'i':
      return bytes == 1   ? convert<int8_t>
             : bytes == 2 ? convert<int16_t>
             : bytes == 4 ? convert<int32_t>
             : bytes == 8 ? convert<int64_t>
                          : nullptr;
    case 'u':
      return bytes == 1   ? convert<uint8_t>
             : bytes == 2 ? convert<uint16_t>
             : bytes == 4 ? convert<uint32_t>
             : bytes == 8 ? convert<uint64_t>
                          : nullptr;
  }
  return nullptr;
}

}  // namespace

NpyFile::NpyFile(const std::string& path) : file_(path, "NumPy file") {
  unsigned char head[12] = {};
  file_.read(0, head, std::min<int64_t>(file_.size(), 12));
  if (file_.size() < 12 || std::memcmp(head, "\x93NUMPY", 6) != 0) {
    throw data_error("{} is not a .npy file{}", path,
                     std::memcmp(head, "PK", 2) == 0 ? "; it looks like a .npz archive: unpack it first" : "");
  }
  const int version = head[6];
  if (version < 1 || version > 3) throw data_error("{}: .npy format version {} is unknown", path, version);
  const int64_t length =
      version == 1 ? int64_t{head[8]} | int64_t{head[9]} << 8
                   : int64_t{head[8]} | int64_t{head[9]} << 8 | int64_t{head[10]} << 16 | int64_t{head[11]} << 24;
  const int64_t begin = version == 1 ? 10 : 12;
  if (length > kLargestHeader || begin + length > file_.size()) {
    throw data_error("{}: its header claims {} bytes; the file is {} bytes long", path, length, file_.size());
  }
  std::string header(static_cast<size_t>(length), '\0');
  file_.read(begin, header.data(), length);
  data_offset_ = begin + length;
  parse_header(header);

  int64_t bytes = element_bytes_;
  for (int64_t dim : shape_.dims()) {
    if (__builtin_mul_overflow(bytes, dim, &bytes)) throw data_error("{}: impossible shape {}", path, shape_.text());
  }
  if (bytes != file_.size() - data_offset_) {
    throw data_error("{}: shape ({}) needs {} bytes of values, but the file has {}", path, shape_.text(), bytes,
                     file_.size() - data_offset_);
  }
}

void NpyFile::parse_header(const std::string& header) {
  const std::string_view descr = value_of(header, "descr");
  const size_t end = descr.empty() ? descr.npos : descr.find(descr[0], 1);
  const std::string type(end == descr.npos || descr[0] == '[' ? descr.substr(0, 40) : descr.substr(1, end - 1));
  const bool known_order = type.size() >= 3 && std::strchr("<>|=", type[0]) != nullptr;
  if (known_order) {
    kind_ = type[1] == 'b' ? 'u' : type[1];
    const auto parsed = std::from_chars(type.data() + 2, type.data() + type.size(), element_bytes_);
    if (parsed.ptr != type.data() + type.size()) element_bytes_ = 0;
  }
  if (!known_order || (type[1] == 'b' && element_bytes_ != 1) || converter_for(kind_, element_bytes_) == nullptr) {
    throw data_error(
        "{}: element type {} is not supported; f4, f8, i1 to i8, u1 to u8 and booleans are. Convert it with "
        "array.astype('float32')",
        path(), type);
  }
  swapped_ = type[0] == '>';

  const std::string_view order = value_of(header, "fortran_order");
  if (order.substr(0, 5) != "False") {
    throw data_error("{}: {}", path(),
                     order.substr(0, 4) == "True"
                         ? "the array is stored column by column (Fortran order). Save numpy.ascontiguousarray(array)"
                         : "its header does not give the order of the values");
  }

  const std::string_view tuple = value_of(header, "shape");
  const size_t close = tuple.find(')');
  if (tuple.empty() || tuple[0] != '(' || close == tuple.npos) throw data_error("{}: its header has no shape", path());
  std::vector<int64_t> dims;
  for (const std::string& part : split(tuple.substr(1, close - 1), ',')) {
    const std::string digits = trim(part);
    if (digits.empty()) continue;
    int64_t dim = -1;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), dim);
    if (parsed.ptr != digits.data() + digits.size() || parsed.ec != std::errc() || dim < 0) {
      throw data_error("{}: its header has the impossible shape {}", path(), tuple.substr(0, close + 1));
    }
    dims.push_back(dim);
  }
  if (dims.size() > 32) throw data_error("{}: {} axes", path(), dims.size());
  shape_ = Shape(std::move(dims));
}

void NpyFile::read_rows(int64_t begin, int64_t end, float* out) const {
  const int64_t rows = shape_.rank() == 0 ? 1 : shape_[0];
  const int64_t row_count = shape_.rank() == 0 ? 1 : shape_.count(1);
  TRAINER_ASSERT(begin >= 0 && begin <= end && end <= rows);
  const Converter convert_values = converter_for(kind_, element_bytes_);
  std::vector<unsigned char> buffer;
  int64_t offset = data_offset_ + begin * row_count * element_bytes_;
  for (int64_t left = (end - begin) * row_count; left > 0;) {
    const int64_t part = std::min(left, kPieceBytes / element_bytes_);
    buffer.resize(static_cast<size_t>(part * element_bytes_));
    file_.read(offset, buffer.data(), part * element_bytes_);
    convert_values(buffer.data(), part, swapped_, out);
    offset += part * element_bytes_;
    out += part;
    left -= part;
  }
}

}  // namespace trainer
