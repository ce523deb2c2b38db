// .npz: a zip archive of .npy files, stored or deflated. The name of a tensor is that of its file.
#include <zlib.h>

#include <algorithm>

#include "base/error.h"
#include "formats/npy_header.h"
#include "formats/tensors/readers.h"

namespace trainer {
namespace {

constexpr std::string_view kEnding = ".npy";

// A stream that computes the checksum of what is read.
class CheckedStream : public ByteStream {
 public:
  explicit CheckedStream(ByteStream& stream) : stream_(stream) {}
  void read(void* out, int64_t count) override {
    stream_.read(out, count);
    crc_ = crc32_z(crc_, static_cast<const Bytef*>(out), static_cast<size_t>(count));
  }
  void skip(int64_t count) override {
    std::vector<char> skipped(static_cast<size_t>(count));
    read(skipped.data(), count);
  }
  uint32_t crc() const { return static_cast<uint32_t>(crc_); }

 private:
  ByteStream& stream_;
  uLong crc_ = 0;
};

StridedView view_of(const NpyHeader& header) {
  StridedView view{header.type, header.swapped, header.shape, {}};
  const int rank = header.shape.rank();
  for (int axis = 0; axis < rank; ++axis)
    view.strides.push_back(header.fortran_order ? header.shape.count(0, axis) : header.shape.count(axis + 1));
  return view;
}

}  // namespace

bool is_npz(const ZipFile& zip) {
  return !zip.members().empty() && std::all_of(zip.members().begin(), zip.members().end(),
                                               [](const ZipMember& member) { return member.name.ends_with(kEnding); });
}

std::vector<StoredTensor> open_npz(const std::shared_ptr<const ZipFile>& zip) {
  std::vector<StoredTensor> tensors;
  for (const ZipMember& member : zip->members()) {
    StoredTensor tensor;
    tensor.name = member.name.substr(0, member.name.size() - kEnding.size());
    const std::string subject = subject_of(zip->path(), tensor.name);
    const NpyHeader header = read_npy_header(subject, member.size, *zip->open(member));
    tensor.shape = checked_shape(subject, header.shape.dims());
    tensor.type = header.type;
    tensor.read = [zip, subject, member, header](float* out) {
      const std::unique_ptr<ByteStream> content = zip->open(member);
      CheckedStream stream(*content);
      stream.skip(header.bytes);
      read_view(view_of(header), stream, out);
      if (stream.crc() != member.crc32)
        throw data_error("{} is damaged: the checksum of its values is wrong. Copy or download the file again",
                         subject);
    };
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace trainer
