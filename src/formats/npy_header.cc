// Reads the header of a NumPy array.
#include "formats/npy_header.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace trainer {
namespace {

constexpr int64_t kLargestHeader = 1 << 20;

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

// Returns false for an unsupported type.
bool set_type(const std::string& text, NpyHeader* header) {
  static const std::map<std::string, ElementType> types{
      {"f2", ElementType::kF16}, {"f4", ElementType::kF32}, {"f8", ElementType::kF64}, {"i1", ElementType::kI8},
      {"i2", ElementType::kI16}, {"i4", ElementType::kI32}, {"i8", ElementType::kI64}, {"u1", ElementType::kU8},
      {"u2", ElementType::kU16}, {"u4", ElementType::kU32}, {"u8", ElementType::kU64}, {"b1", ElementType::kBool}};
  if (text.size() < 3 || std::strchr("<>|=", text[0]) == nullptr) return false;
  const auto found = types.find(text.substr(1));
  if (found == types.end()) return false;
  header->type = found->second;
  header->swapped = text[0] == '>';
  return true;
}

void parse_type(const std::string& subject, const std::string& text, NpyHeader* header) {
  const std::string_view descr = value_of(text, "descr");
  const size_t end = descr.empty() ? descr.npos : descr.find(descr[0], 1);
  const std::string type(end == descr.npos || descr[0] == '[' ? descr.substr(0, 40) : descr.substr(1, end - 1));
  if (!set_type(type, header))
    throw data_error(
        "{}: element type {} is not supported; f2, f4, f8, i1 to i8, u1 to u8 and booleans are. Convert it with "
        "array.astype('float32')",
        subject, printable(type));
}

void parse_order(const std::string& subject, const std::string& text, NpyHeader* header) {
  const std::string_view order = value_of(text, "fortran_order");
  header->fortran_order = order.substr(0, 4) == "True";
  if (!header->fortran_order && order.substr(0, 5) != "False")
    throw data_error("{}: its header does not give the order of the values", subject);
}

void parse_shape(const std::string& subject, const std::string& text, NpyHeader* header) {
  const std::string_view tuple = value_of(text, "shape");
  const size_t close = tuple.find(')');
  if (tuple.empty() || tuple[0] != '(' || close == tuple.npos) throw data_error("{}: its header has no shape", subject);
  std::vector<int64_t> dims;
  for (const std::string& part : split(tuple.substr(1, close - 1), ',')) {
    const std::string digits = trim(part);
    if (digits.empty()) continue;
    int64_t dim = -1;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), dim);
    if (parsed.ptr != digits.data() + digits.size() || parsed.ec != std::errc() || dim < 0)
      throw data_error("{}: its header has the impossible shape {}", subject,
                       printable(tuple.substr(0, std::min<size_t>(close + 1, 100))));
    dims.push_back(dim);
  }
  if (dims.size() > size_t{kMostAxes}) throw data_error("{}: {} axes", subject, dims.size());
  header->shape = Shape(std::move(dims));
}

}  // namespace

NpyHeader read_npy_header(const std::string& subject, int64_t size, ByteStream& stream) {
  unsigned char head[12] = {};
  int64_t begin = std::min<int64_t>(size, 10);
  stream.read(head, begin);
  if (size < 12 || std::memcmp(head, "\x93NUMPY", 6) != 0)
    throw data_error("{} is not a .npy file{}", subject,
                     std::memcmp(head, "PK", 2) == 0 ? "; it looks like a .npz archive: unpack it first" : "");
  const int version = head[6];
  if (version < 1 || version > 3) throw data_error("{}: .npy format version {} is unknown", subject, version);
  if (version > 1) {
    stream.read(head + 10, 2);
    begin = 12;
  }
  const int64_t length = int64_t{head[8]} | int64_t{head[9]} << 8 | int64_t{head[10]} << 16 | int64_t{head[11]} << 24;
  if (length > kLargestHeader || begin + length > size)
    throw data_error("{}: its header claims {} bytes; the file is {} bytes long", subject, length, size);
  std::string text(static_cast<size_t>(length), '\0');
  stream.read(text.data(), length);

  NpyHeader header;
  header.bytes = begin + length;
  parse_type(subject, text, &header);
  parse_order(subject, text, &header);
  parse_shape(subject, text, &header);
  int64_t bytes = size_of(header.type);
  for (int64_t dim : header.shape.dims()) {
    if (__builtin_mul_overflow(bytes, dim, &bytes))
      throw data_error("{}: impossible shape {}", subject, header.shape.text());
  }
  if (bytes != size - header.bytes)
    throw data_error("{}: shape ({}) needs {} bytes of values, but the file has {}", subject, header.shape.text(),
                     bytes, size - header.bytes);
  return header;
}

}  // namespace trainer
