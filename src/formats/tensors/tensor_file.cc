// Recognizes the formats, and what their readers share.
#include "formats/tensors/tensor_file.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "formats/tensors/readers.h"

namespace trainer {
namespace {

TensorFile named(const InputFile& file, const char* format, std::vector<StoredTensor> tensors) {
  std::set<std::string> names;
  for (const StoredTensor& tensor : tensors) {
    if (!names.insert(tensor.name).second)
      throw data_error("{}: two tensors have the name \"{}\"", file.path(), printable(tensor.name));
  }
  if (tensors.empty()) throw data_error("{} has no tensors (its format is that of {})", file.path(), format);
  return {file.path(), format, std::move(tensors), {}};
}

}  // namespace

std::vector<float> StoredTensor::values() const {
  std::vector<float> out(static_cast<size_t>(shape.count()));
  read(out.data());
  // Its own infinities are as useless in a net.
  const bool fits =
      type != ElementType::kF64 || std::none_of(out.begin(), out.end(), [](float value) { return std::isinf(value); });
  if (!fits)
    throw data_error("the tensor \"{}\" ({}) has values beyond the range of 32-bit floats, 3.4e38", printable(name),
                     name_of(type));
  return out;
}

void gather(const float* from, const Shape& shape, const std::vector<int64_t>& strides, float* out) {
  std::vector<int64_t> index(strides.size(), 0);
  int64_t at = 0;
  for (int64_t i = 0, count = shape.count(); i < count; ++i) {
    out[i] = from[at];
    for (size_t axis = index.size(); axis-- > 0;) {
      if (shape[static_cast<int>(axis)] == 1) continue;  // its stride may be any number
      at += strides[axis];
      if (++index[axis] < shape[static_cast<int>(axis)]) break;
      at -= strides[axis] * index[axis];
      index[axis] = 0;
    }
  }
}

std::optional<TensorFile> open_tensors(const std::string& path) {
  const auto file = std::make_shared<const InputFile>(path, "weight file");
  if (is_safetensors(*file)) {
    std::map<std::string, std::string> metadata;
    TensorFile out = named(*file, "safetensors", open_safetensors(file, &metadata));
    out.metadata = std::move(metadata);
    return out;
  }
  if (is_safetensors_index(*file)) return named(*file, "safetensors", open_safetensors_index(file));
  if (is_torch_legacy(*file)) return named(*file, "PyTorch", open_torch_legacy(file));
  if (ZipFile::has_signature(*file)) {
    const auto zip = std::make_shared<const ZipFile>(file);
    if (is_torch_archive(*zip)) return named(*file, "PyTorch", open_torch_archive(zip));
    if (is_npz(*zip)) return named(*file, "NumPy", open_npz(zip));
    throw data_error(
        "{} is a zip archive without weights: neither a file of torch.save (it lacks data.pkl) nor an .npz (it lacks "
        ".npy files)",
        path);
  }
  if (is_onnx(*file)) return named(*file, "ONNX", open_onnx(file));
  return std::nullopt;
}

void check_tensor_count(const std::string& path, size_t count) {
  if (count > kMostTensors) throw data_error("{} has more than {} tensors", path, kMostTensors);
}

std::string subject_of(const std::string& path, const std::string& tensor) {
  return fmt::format("{}: tensor \"{}\"", path, printable(tensor));
}

Shape checked_shape(const std::string& subject, std::vector<int64_t> dims) {
  if (dims.size() > size_t{kMostAxes})
    throw data_error("{} has {} axes, more than {}", subject, dims.size(), kMostAxes);
  for (const int64_t dim : dims) {
    if (dim < 0 || dim > kMostElements) throw data_error("{} has the impossible extent {}", subject, dim);
  }
  Shape shape(std::move(dims));
  if (shape.count() > kMostElements)
    throw data_error("{} ({}) has more than {} values", subject, shape.text(), kMostElements);
  return shape;
}

std::function<void(float*)> contiguous_reader(const SharedFile& file, int64_t offset, ElementType type, int64_t count) {
  return [=](float* out) {
    FileStream stream(*file, offset);
    read_floats(stream, type, false, count, out);
  };
}

int64_t span_of(const StridedView& view) {
  if (view.shape.count() == 0) return 0;
  int64_t last = 0;
  for (int axis = 0; axis < view.shape.rank(); ++axis) {
    const int64_t steps = view.shape[axis] - 1;
    if (steps == 0) continue;
    int64_t distance = 0;
    if (__builtin_mul_overflow(steps, view.strides[static_cast<size_t>(axis)], &distance) ||
        __builtin_add_overflow(last, distance, &last) || last >= Shape::kUncountable)
      return Shape::kUncountable;
  }
  return last + 1;
}

namespace {

bool is_row_major(const StridedView& view) {
  int64_t expected = 1;
  for (int axis = view.shape.rank(); axis-- > 0;) {
    if (view.shape[axis] != 1 && view.strides[static_cast<size_t>(axis)] != expected) return false;
    expected *= view.shape[axis];
  }
  return true;
}

}  // namespace

void read_view(const StridedView& view, ByteStream& stream, float* out) {
  const int64_t count = view.shape.count();
  if (count == 0) return;
  if (is_row_major(view)) return read_floats(stream, view.type, view.swapped, count, out);
  std::vector<float> span(static_cast<size_t>(span_of(view)));
  read_floats(stream, view.type, view.swapped, span_of(view), span.data());
  gather(span.data(), view.shape, view.strides, out);
}

}  // namespace trainer
