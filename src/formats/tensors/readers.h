// The readers of the single formats, and what they share.
//
// Each format has a file. is_FORMAT looks at the content, open_FORMAT throws data_error.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/byte_stream.h"
#include "formats/input_file.h"
#include "formats/tensors/tensor_file.h"
#include "formats/tensors/zip.h"

namespace trainer {

using SharedFile = std::shared_ptr<const InputFile>;

// A file with more tensors is not a model.
constexpr size_t kMostTensors = 100'000;
// The data_error of such a file.
void check_tensor_count(const std::string& path, size_t count);

// The shape, or a data_error that begins with `subject` ("FILE: tensor \"x\"") if no tensor can have these extents.
Shape checked_shape(const std::string& subject, std::vector<int64_t> dims);

// "FILE: tensor \"NAME\"" for messages.
std::string subject_of(const std::string& path, const std::string& tensor);

// Reads a tensor that is stored row-major from `offset` of the file.
std::function<void(float*)> contiguous_reader(const SharedFile& file, int64_t offset, ElementType type, int64_t count);

// A view of an array of numbers. `strides` are in elements, none negative.
struct StridedView {
  ElementType type = ElementType::kF32;
  bool swapped = false;
  Shape shape;
  std::vector<int64_t> strides;
};
// The number of elements from the first to the last of the view, at most Shape::kUncountable.
int64_t span_of(const StridedView& view);
// Reads the view from a stream that begins at its first element, span_of(view) elements.
void read_view(const StridedView& view, ByteStream& stream, float* out);

bool is_safetensors(const InputFile& file);
// Adds the entries of __metadata__ to `metadata`, if given.
std::vector<StoredTensor> open_safetensors(const SharedFile& file,
                                           std::map<std::string, std::string>* metadata = nullptr);

// The index of a model that is divided among several files, model.safetensors.index.json.
bool is_safetensors_index(const InputFile& file);
std::vector<StoredTensor> open_safetensors_index(const SharedFile& file);

bool is_onnx(const InputFile& file);
std::vector<StoredTensor> open_onnx(const SharedFile& file);

bool is_npz(const ZipFile& zip);
std::vector<StoredTensor> open_npz(const std::shared_ptr<const ZipFile>& zip);

// torch.save since version 1.6.
bool is_torch_archive(const ZipFile& zip);
std::vector<StoredTensor> open_torch_archive(const std::shared_ptr<const ZipFile>& zip);

// torch.save before version 1.6.
bool is_torch_legacy(const InputFile& file);
std::vector<StoredTensor> open_torch_legacy(const SharedFile& file);

}  // namespace trainer
