// A fuzz target of libFuzzer for one reader of untrusted files, which TRAINER_READER names. An Error is the right
// answer to a damaged file; a crash, a leak, a report of a sanitizer or a large allocation is a fault.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/error.h"
#include "config/diagnostics.h"
#include "config/prototxt.h"
#include "formats/solver_state.h"
#include "formats/tensors/readers.h"
#include "formats/weight_map.h"
#include "formats/weights.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

constexpr int64_t kMostValues = 1 << 16;  // that are read of a tensor

[[maybe_unused]] void read_values(const std::vector<StoredTensor>& tensors) {
  for (const StoredTensor& tensor : tensors) {
    if (tensor.shape.count() <= kMostValues) tensor.values();
  }
}

[[maybe_unused]] SharedFile opened(const std::string& path) {
  return std::make_shared<const InputFile>(path, "weight file");
}

// Readers may rely on the recognition of their format.
template <typename Recognize, typename Open, typename File>
[[maybe_unused]] void read_recognized(const Recognize& recognize, const Open& open, const File& file) {
  if (recognize(*file)) read_values(open(file));
}
[[maybe_unused]] std::shared_ptr<const ZipFile> opened_zip(const std::string& path) {
  const SharedFile file = opened(path);
  if (!ZipFile::has_signature(*file)) throw data_error("{} is no zip archive", path);
  return std::make_shared<const ZipFile>(file);
}

[[maybe_unused]] void safetensors(const std::string& path) {
  read_recognized(
      is_safetensors,
      [](const SharedFile& file) {
        std::map<std::string, std::string> metadata;
        return open_safetensors(file, &metadata);
      },
      opened(path));
}
[[maybe_unused]] void safetensors_index(const std::string& path) {
  read_recognized(is_safetensors_index, open_safetensors_index, opened(path));
}
[[maybe_unused]] void onnx(const std::string& path) { read_recognized(is_onnx, open_onnx, opened(path)); }
[[maybe_unused]] void torch_legacy(const std::string& path) {
  read_recognized(is_torch_legacy, open_torch_legacy, opened(path));
}
[[maybe_unused]] void torch_archive(const std::string& path) {
  read_recognized(is_torch_archive, open_torch_archive, opened_zip(path));
}
[[maybe_unused]] void npz(const std::string& path) { read_recognized(is_npz, open_npz, opened_zip(path)); }
[[maybe_unused]] void caffemodel(const std::string& path) { read_weights(path); }  // HDF5 files too
[[maybe_unused]] void solver_state(const std::string& path) { read_solver_state(path); }
[[maybe_unused]] void weight_map(const std::string& path) { read_weight_map(path); }
[[maybe_unused]] void prototxt(const std::string& path) {
  std::string text;
  Diagnostics diagnostics;
  if (!read_text_file(path, {}, &text, &diagnostics)) return;
  caffe::NetParameter net;
  Positions positions;
  parse_prototxt(text, "net.prototxt", &net, &positions, &diagnostics);
  diagnostics.render();
}

}  // namespace
}  // namespace trainer

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = memfd_create("input", 0);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) return 0;
  try {
    trainer::TRAINER_READER(path);
  } catch (const trainer::Error&) {
  }
  return 0;
}
