// Numbers of a stream as floats.
#include "formats/byte_stream.h"

#include <algorithm>
#include <vector>

namespace trainer {
namespace {

constexpr int64_t kPieceBytes = 1 << 20;

}  // namespace

void read_floats(ByteStream& stream, ElementType type, bool swapped, int64_t count, float* out) {
  if (type == ElementType::kF32 && !swapped) return stream.read(out, count * 4);
  const int64_t piece = kPieceBytes / size_of(type);
  std::vector<char> buffer(static_cast<size_t>(std::min(count, piece) * size_of(type)));
  while (count > 0) {
    const int64_t part = std::min(count, piece);
    stream.read(buffer.data(), part * size_of(type));
    convert_to_floats(type, swapped, buffer.data(), part, out);
    out += part;
    count -= part;
  }
}

}  // namespace trainer
