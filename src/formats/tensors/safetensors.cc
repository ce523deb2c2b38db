// safetensors: the length of a JSON header in 8 bytes, the header with the type, shape and position of each tensor, and
// the values without gaps.
#include <algorithm>
#include <filesystem>
#include <map>

#include "base/error.h"
#include "base/json_reader.h"
#include "base/text.h"
#include "formats/tensors/readers.h"

namespace trainer {
namespace {

constexpr int64_t kPrefix = 8;
constexpr int64_t kLargestHeader = 100'000'000;  // as in the library safetensors
constexpr int64_t kLargestIndex = 64 << 20;
constexpr size_t kMostFiles = 1000;

const std::map<std::string, ElementType> kTypes{
    {"F64", ElementType::kF64},  {"F32", ElementType::kF32}, {"F16", ElementType::kF16}, {"BF16", ElementType::kBF16},
    {"I64", ElementType::kI64},  {"I32", ElementType::kI32}, {"I16", ElementType::kI16}, {"I8", ElementType::kI8},
    {"U64", ElementType::kU64},  {"U32", ElementType::kU32}, {"U16", ElementType::kU16}, {"U8", ElementType::kU8},
    {"BOOL", ElementType::kBool}};

// The length of the header, or -1.
int64_t header_length(const InputFile& file) {
  char prefix[kPrefix + 1];
  if (file.size() < kPrefix + 2) return -1;
  file.read(0, prefix, kPrefix + 1);
  uint64_t length = 0;
  std::copy(prefix, prefix + kPrefix, reinterpret_cast<char*>(&length));
  return prefix[kPrefix] == '{' && length <= uint64_t{kLargestHeader} ? static_cast<int64_t>(length) : -1;
}

std::vector<int64_t> integers(JsonReader& json) {
  std::vector<int64_t> out;
  json.array([&] { out.push_back(json.integer()); });
  return out;
}

struct Entry {
  std::string type;
  std::vector<int64_t> shape, offsets;
};

Entry read_entry(JsonReader& json) {
  Entry entry;
  json.object([&](const std::string& key) {
    if (key == "dtype") {
      entry.type = json.string();
    } else if (key == "shape") {
      entry.shape = integers(json);
    } else if (key == "data_offsets") {
      entry.offsets = integers(json);
    } else {
      json.skip();
    }
  });
  return entry;
}

StoredTensor tensor_of(const SharedFile& file, int64_t data, const std::string& name, const Entry& entry) {
  const std::string subject = subject_of(file->path(), name);
  StoredTensor tensor;
  tensor.name = name;
  const auto type = kTypes.find(entry.type);
  if (type == kTypes.end())
    throw data_error("{} has the element type \"{}\", which is not supported. Save it as float32, float16 or bfloat16",
                     subject, printable(entry.type));
  tensor.type = type->second;
  tensor.shape = checked_shape(subject, entry.shape);
  const int64_t bytes = tensor.shape.count() * size_of(tensor.type);
  if (entry.offsets.size() != 2 || entry.offsets[0] < 0 || entry.offsets[1] < entry.offsets[0] ||
      entry.offsets[1] - entry.offsets[0] != bytes)
    throw data_error("{} needs {} bytes for its shape ({}); its data_offsets are {}", subject, bytes,
                     tensor.shape.text(), fmt::join(entry.offsets, ", "));
  if (entry.offsets[1] > file->size() - data)
    throw data_error("{} should reach byte {}, but the file is {} bytes long. Copy or download it again", subject,
                     data + entry.offsets[1], file->size());
  tensor.read = contiguous_reader(file, data + entry.offsets[0], tensor.type, tensor.shape.count());
  return tensor;
}

std::string text_of(const InputFile& file, int64_t begin, int64_t count) {
  std::string text(static_cast<size_t>(count), '\0');
  file.read(begin, text.data(), count);
  return text;
}

// The files of an index, by tensor.
std::map<std::string, std::string> weight_map_of(const InputFile& file) {
  const std::string text = text_of(file, 0, file.size());
  std::map<std::string, std::string> files;
  JsonReader json(text);
  json.object([&](const std::string& key) {
    if (key != "weight_map") return json.skip();
    json.object([&](const std::string& tensor) { files[tensor] = json.string(); });
  });
  json.end();
  return files;
}

SharedFile open_shard(const InputFile& index, const std::string& name) {
  if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos ||
      name.find('\0') != std::string::npos)
    throw data_error("{} names the file \"{}\": the files of a model must be in the folder of its index", index.path(),
                     printable(name));
  return std::make_shared<const InputFile>((std::filesystem::path(index.path()).parent_path() / name).string(),
                                           "part of the weights");
}

}  // namespace

bool is_safetensors(const InputFile& file) { return header_length(file) >= 0; }

std::vector<StoredTensor> open_safetensors(const SharedFile& file, std::map<std::string, std::string>* metadata) {
  const int64_t length = header_length(*file), data = kPrefix + length;
  if (data > file->size())
    throw data_error("{}: its header claims {} bytes, but the file is {} bytes long. Copy or download it again",
                     file->path(), length, file->size());
  const std::string header = text_of(*file, kPrefix, length);
  std::vector<StoredTensor> tensors;
  int64_t end = 0;
  try {
    JsonReader json(header);
    json.object([&](const std::string& name) {
      if (name == "__metadata__") {
        if (metadata == nullptr) return json.skip();
        return json.object([&](const std::string& key) { (*metadata)[key] = json.string(); });
      }
      const Entry entry = read_entry(json);
      tensors.push_back(tensor_of(file, data, name, entry));
      check_tensor_count(file->path(), tensors.size());
      end = std::max(end, entry.offsets[1]);
    });
    json.end();
  } catch (const JsonError& error) {
    throw data_error("{} is not a readable safetensors file: {} at byte {}", file->path(), error.what(),
                     kPrefix + static_cast<int64_t>(error.offset()));
  }
  if (end != file->size() - data)
    throw data_error("{} has {} bytes of values, and its tensors end after {}: the file is damaged", file->path(),
                     file->size() - data, end);
  return tensors;
}

bool is_safetensors_index(const InputFile& file) {
  if (file.size() > kLargestIndex || !file.path().ends_with(".json") || !file.looks_like_text()) return false;
  try {
    return !weight_map_of(file).empty();
  } catch (const JsonError&) {
    return false;
  }
}

std::vector<StoredTensor> open_safetensors_index(const SharedFile& file) {
  std::map<std::string, std::vector<StoredTensor>> shards;
  const std::map<std::string, std::string> files = weight_map_of(*file);
  for (const auto& [tensor, name] : files) {
    if (shards.count(name) > 0) continue;
    if (shards.size() == kMostFiles) throw data_error("{} names more than {} files", file->path(), kMostFiles);
    const SharedFile shard = open_shard(*file, name);
    if (!is_safetensors(*shard)) throw data_error("{} is not a safetensors file", shard->path());
    shards[name] = open_safetensors(shard);
  }
  std::vector<StoredTensor> tensors;
  size_t listed = 0;
  for (const auto& [name, shard] : shards) {
    for (const StoredTensor& tensor : shard) {
      const auto found = files.find(tensor.name);
      if (found == files.end() || found->second != name) continue;
      ++listed;
      tensors.push_back(tensor);
    }
  }
  if (listed == files.size()) return tensors;
  for (const auto& [tensor, name] : files) {
    const auto is_it = [&tensor = tensor](const StoredTensor& stored) { return stored.name == tensor; };
    if (std::none_of(shards[name].begin(), shards[name].end(), is_it))
      throw data_error("{} says that {} has the tensor \"{}\", but it lacks it: are the files of one model?",
                       file->path(), printable(name), printable(tensor));
  }
  return tensors;
}

}  // namespace trainer
