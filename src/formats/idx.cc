// Reads IDX files.
#include "formats/idx.h"

#include <zlib.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "formats/input_file.h"

namespace trainer {
namespace {

constexpr int64_t kPieceBytes = 1 << 20;
constexpr uint8_t kUnsignedByte = 8;

// zlib reads an uncompressed file unchanged.
class MaybeGzipped {
 public:
  explicit MaybeGzipped(const std::string& path) : path_(path), file_(::gzopen(path.c_str(), "rb"), &::gzclose) {
    if (!file_) throw data_error("cannot read IDX file {}", path);
    ::gzbuffer(file_.get(), 256 * 1024);
  }

  // Reads up to `count` bytes; fewer only at the end of the file.
  int64_t read(uint8_t* out, int64_t count) {
    int64_t done = 0;
    while (done < count) {
      const int got = ::gzread(file_.get(), out + done, static_cast<unsigned>(std::min(count - done, kPieceBytes)));
      int problem = Z_OK;
      const char* reason = ::gzerror(file_.get(), &problem);
      if (got < 0 || (problem != Z_OK && problem != Z_STREAM_END)) {
        throw data_error("{}: the compressed data is damaged or cut off ({}). Download it again", path_, reason);
      }
      if (got == 0) break;
      done += got;
    }
    return done;
  }

 private:
  std::string path_;
  std::unique_ptr<gzFile_s, int (*)(gzFile)> file_;
};

}  // namespace

IdxArray read_idx(const std::string& path) {
  { const InputFile readable(path, "IDX file"); }
  MaybeGzipped file(path);
  uint8_t magic[4];
  if (file.read(magic, 4) != 4 || magic[0] != 0 || magic[1] != 0) {
    throw data_error("{} is not an IDX file: it does not begin with two zero bytes", path);
  }
  if (magic[2] != kUnsignedByte) {
    throw data_error("{}: elements of IDX type 0x{:02x}; only unsigned bytes (0x08) are supported", path, magic[2]);
  }
  std::vector<int64_t> dims;
  int64_t count = 1;
  for (int axis = 0; axis < magic[3]; ++axis) {
    uint8_t b[4];
    if (file.read(b, 4) != 4) throw data_error("{} ends inside its header", path);
    dims.push_back(int64_t{b[0]} << 24 | int64_t{b[1]} << 16 | int64_t{b[2]} << 8 | int64_t{b[3]});
    if (__builtin_mul_overflow(count, dims.back(), &count)) throw data_error("{}: impossible extents", path);
  }
  IdxArray out;
  out.shape = Shape(std::move(dims));
  // In pieces: a damaged header must not allocate memory that the file cannot fill.
  while (static_cast<int64_t>(out.bytes.size()) < count) {
    const auto have = static_cast<int64_t>(out.bytes.size());
    const int64_t part = std::min(kPieceBytes, count - have);
    out.bytes.resize(static_cast<size_t>(have + part));
    const int64_t got = file.read(out.bytes.data() + have, part);
    if (got < part) {
      throw data_error("{} ends after {} of {} values ({})", path, have + got, count, out.shape.text());
    }
  }
  uint8_t extra;
  if (file.read(&extra, 1) != 0) throw data_error("{} is longer than its extents ({}) require", path, out.shape.text());
  return out;
}

}  // namespace trainer
