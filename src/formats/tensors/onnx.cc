// The initializers of an ONNX model: its learned tensors, in the file or in files beside it. The operators are not
// read.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "formats/onnx_fields.h"
#include "formats/tensors/readers.h"
#include "formats/wire_reader.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

using namespace onnx_fields;

constexpr uint64_t kExternal = 1;
constexpr uint64_t kString = 8;
constexpr size_t kMostEntries = 100;
constexpr size_t kMostFiles = 1000;

const std::map<uint64_t, ElementType> kTypes{{1, ElementType::kF32},  {2, ElementType::kU8},   {3, ElementType::kI8},
                                             {4, ElementType::kU16},  {5, ElementType::kI16},  {6, ElementType::kI32},
                                             {7, ElementType::kI64},  {9, ElementType::kBool}, {10, ElementType::kF16},
                                             {11, ElementType::kF64}, {12, ElementType::kU32}, {13, ElementType::kU64},
                                             {16, ElementType::kBF16}};

// A TensorProto without its values.
struct TensorHead {
  std::string name;
  std::vector<int64_t> dims;
  uint64_t type = 0;
  bool external = false;
  std::map<std::string, std::string> location;
  int64_t raw_begin = 0, raw_bytes = -1;  // of raw_data
  int64_t typed_bytes = 0;                // of the other fields with values
  int64_t begin = 0, end = 0;             // of the message
};

bool is_value_field(uint32_t field) {
  return field == kTensorFloatData || field == kTensorInt32Data || field == kTensorInt64Data ||
         field == kTensorDoubleData || field == kTensorUint64Data;
}

void read_location(WireReader& reader, TensorHead& head) {
  const int64_t outer = reader.enter();
  std::string key, value;
  while (reader.next()) {
    if (reader.is(kEntryKey, WireType::kBytes)) {
      key = reader.text();
    } else if (reader.is(kEntryValue, WireType::kBytes)) {
      value = reader.text();
    } else {
      reader.skip();
    }
  }
  reader.leave(outer);
  if (head.location.size() == kMostEntries) throw WireError(reader.position(), "too many entries of external_data");
  head.location[key] = value;
}

// Reads the message that the reader is in.
TensorHead read_head(WireReader& reader) {
  TensorHead head;
  head.begin = reader.position();
  head.end = reader.position() + reader.remaining();
  while (reader.next()) {
    const uint32_t field = reader.field();
    const int64_t before = reader.position();
    if (field == kTensorDims) {
      reader.append_int64s(head.dims);
      if (head.dims.size() > size_t{kMostAxes}) throw WireError(reader.position(), "a tensor of more than 32 axes");
    } else if (reader.is(kTensorDataType, WireType::kVarint)) {
      head.type = reader.varint();
    } else if (reader.is(kTensorName, WireType::kBytes)) {
      head.name = reader.text();
    } else if (reader.is(kTensorRawData, WireType::kBytes)) {
      const int64_t outer = reader.enter();
      head.raw_begin = reader.position();
      head.raw_bytes = reader.remaining();
      reader.leave(outer);
    } else if (reader.is(kTensorExternal, WireType::kBytes)) {
      read_location(reader, head);
    } else if (reader.is(kTensorLocation, WireType::kVarint)) {
      head.external = reader.varint() == kExternal;
    } else {
      reader.skip();
      if (is_value_field(field)) head.typed_bytes += reader.position() - before;
    }
  }
  return head;
}

// Values of the types that are stored as varints: signed numbers, or the bits of a float.
void convert_varints(ElementType type, const std::vector<int64_t>& values, float* out) {
  for (const int64_t value : values) {
    if (type == ElementType::kF16 || type == ElementType::kBF16) {
      const auto bits = static_cast<uint16_t>(value);
      convert_to_floats(type, false, &bits, 1, out++);
    } else {
      *out++ = type == ElementType::kU64 ? static_cast<float>(static_cast<uint64_t>(value)) : static_cast<float>(value);
    }
  }
}

void read_typed(const InputFile& file, const std::string& subject, const TensorHead& head, ElementType type,
                int64_t count, float* out) {
  WireReader reader(file.descriptor(), head.begin, head.end);
  std::vector<float> floats;
  std::vector<int64_t> varints;
  try {
    while (reader.next()) {
      if (reader.field() == kTensorFloatData) {
        reader.append_floats(floats, count);
      } else if (reader.field() == kTensorDoubleData) {
        reader.append_doubles(floats, count);
      } else if (is_value_field(reader.field())) {
        reader.append_int64s(varints);
      } else {
        reader.skip();
      }
    }
  } catch (const WireError& error) {
    throw data_error("{}: {} at byte {}", subject, error.what(), error.offset());
  }
  const size_t stored = floats.size() + varints.size();
  if (static_cast<int64_t>(stored) != count || (!floats.empty() && !varints.empty()))
    throw data_error("{} has {} values; its shape needs {}", subject, stored, count);
  std::copy(floats.begin(), floats.end(), out);
  convert_varints(type, varints, out);
}

// A number of external_data, 0 if it is missing.
int64_t location_number(const std::string& subject, const TensorHead& head, const std::string& key) {
  const auto found = head.location.find(key);
  if (found == head.location.end()) return 0;
  int64_t value = -1;
  const std::string& text = found->second;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ptr != text.data() + text.size() || parsed.ec != std::errc() || value < 0)
    throw data_error("{}: its external data have the impossible {} \"{}\"", subject, key, printable(text));
  return value;
}

class OnnxReader {
 public:
  explicit OnnxReader(const SharedFile& file) : file_(file), path_(file->path()) {}

  std::vector<StoredTensor> run() {
    WireReader reader(file_->descriptor(), file_->size());
    try {
      while (reader.next()) {
        if (reader.is(kModelGraph, WireType::kBytes)) {
          read_graph(reader);
        } else {
          reader.skip();
        }
      }
    } catch (const WireError& error) {
      throw data_error("{} is not a readable ONNX file: {} at byte {}; the file is {} bytes long", path_, error.what(),
                       error.offset(), file_->size());
    }
    return std::move(tensors_);
  }

 private:
  void read_graph(WireReader& reader) {
    const int64_t outer = reader.enter();
    while (reader.next()) {
      if (!reader.is(kGraphInitializer, WireType::kBytes)) {
        reader.skip();
        continue;
      }
      const int64_t graph = reader.enter();
      const TensorHead head = read_head(reader);
      reader.leave(graph);
      if (head.type != kString) add(head);
    }
    reader.leave(outer);
  }

  void add(const TensorHead& head) {
    const std::string subject = subject_of(path_, head.name);
    const auto type = kTypes.find(head.type);
    if (type == kTypes.end())
      throw data_error("{} has the element type {} of ONNX, which is not supported. Save it as float32 or float16",
                       subject, head.type);
    StoredTensor tensor{head.name, checked_shape(subject, head.dims), type->second, nullptr};
    const int64_t count = tensor.shape.count(), bytes = count * size_of(tensor.type);
    if (head.external) {
      tensor.read = external_reader(subject, head, tensor, bytes);
    } else if (head.raw_bytes >= 0) {
      if (head.raw_bytes != bytes)
        throw data_error("{} ({}) needs {} bytes; its raw_data have {}", subject, tensor.shape.text(), bytes,
                         head.raw_bytes);
      tensor.read = contiguous_reader(file_, head.raw_begin, tensor.type, count);
    } else {
      // A value takes a byte at least.
      if (count > head.typed_bytes)
        throw data_error("{} ({}) needs {} values; the file has {} bytes of them", subject, tensor.shape.text(), count,
                         head.typed_bytes);
      tensor.read = [file = file_, subject, head, type = tensor.type, count](float* out) {
        read_typed(*file, subject, head, type, count, out);
      };
    }
    tensors_.push_back(std::move(tensor));
    check_tensor_count(path_, tensors_.size());
  }

  std::function<void(float*)> external_reader(const std::string& subject, const TensorHead& head,
                                              const StoredTensor& tensor, int64_t bytes) {
    const SharedFile data = external_file(subject, head);
    const int64_t offset = location_number(subject, head, "offset"), length = location_number(subject, head, "length");
    if (length != 0 && length != bytes)
      throw data_error("{} ({}) needs {} bytes; its external data have {}", subject, tensor.shape.text(), bytes,
                       length);
    if (offset > data->size() - bytes)
      throw data_error("{} needs {} bytes from byte {} of {}, which is {} bytes long. Copy or download it again",
                       subject, bytes, offset, data->path(), data->size());
    return contiguous_reader(data, offset, tensor.type, tensor.shape.count());
  }

  // Opens a file of external data once. It must be in the folder of the model or below it, links followed.
  SharedFile external_file(const std::string& subject, const TensorHead& head) {
    const auto found = head.location.find("location");
    const std::string name = found == head.location.end() ? "" : found->second;
    SharedFile& data = external_[name];
    if (data != nullptr) return data;
    const fs::path folder = fs::path(path_).parent_path(), relative(name);
    bool inside = !name.empty() && name.find('\0') == std::string::npos && relative.is_relative() &&
                  std::find(relative.begin(), relative.end(), "..") == relative.end();
    if (inside) {
      std::error_code failed;
      const fs::path root = fs::weakly_canonical(folder.empty() ? "." : folder, failed);
      const fs::path real = fs::weakly_canonical(root / relative, failed);
      inside = !failed && std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first == root.end();
    }
    if (!inside)
      throw data_error("{} is in the file \"{}\": external data must be in the folder of the model", subject,
                       printable(name));
    if (external_.size() > kMostFiles) throw data_error("{} names more than {} files", path_, kMostFiles);
    data = std::make_shared<const InputFile>((folder / relative).string(), "external data");
    return data;
  }

  const SharedFile file_;
  const std::string& path_;
  std::vector<StoredTensor> tensors_;
  std::map<std::string, SharedFile> external_;
};

}  // namespace

bool is_onnx(const InputFile& file) {
  WireReader reader(file.descriptor(), file.size());
  bool graph = false, opset = false;
  uint64_t version = UINT64_MAX;
  try {
    while (reader.next()) {
      graph = graph || reader.is(kModelGraph, WireType::kBytes);
      opset = opset || reader.is(kModelOpset, WireType::kBytes);
      if (reader.is(kModelIrVersion, WireType::kVarint)) {
        version = reader.varint();
      } else {
        if (version == UINT64_MAX) return false;
        reader.skip();
      }
    }
  } catch (const WireError&) {
    // A damaged file is reported by the reader of its format.
  }
  // The first versions name no set of operators.
  return graph && (opset || version < 3);
}

std::vector<StoredTensor> open_onnx(const SharedFile& file) { return OnnxReader(file).run(); }

}  // namespace trainer
