// Weight files of all formats as lists of tensors, and their writers.
#include "formats/weight_tensors.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "base/error.h"
#include "base/json_text.h"
#include "base/text.h"
#include "formats/npz_writer.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

constexpr int kMostBlobs = 1 << 16;
constexpr size_t kAlignment = 8;

bool is_safetensors_name(const std::string& path) { return path.ends_with(".safetensors"); }
bool is_npz_name(const std::string& path) { return path.ends_with(".npz"); }
bool is_hdf5_name(const std::string& path) { return path.ends_with(".h5"); }

void check_unique_names(const std::string& path, const std::vector<StoredTensor>& tensors) {
  std::set<std::string> names;
  for (const StoredTensor& tensor : tensors) {
    if (!names.insert(tensor.name).second)
      throw data_error("cannot write {}: two tensors have the name \"{}\"", path, printable(tensor.name));
  }
}

// The header of a safetensors file, with its length.
std::string safetensors_header(const NamedTensors& named) {
  const std::vector<StoredTensor>& tensors = named.tensors;
  std::string json = "{\"__metadata__\":{\"format\":\"pt\"";
  const WeightNotes& notes = named.notes;
  if (!notes.class_names.empty())
    json += fmt::format(",\"{}\":{}", kClassNames, json_string(fmt::format("{}", fmt::join(notes.class_names, "\n"))));
  if (notes.picture_input != nullptr)
    json += fmt::format(",\"{}\":{}", kPictureInput, json_string(notes.picture_input->ShortDebugString()));
  json += '}';
  int64_t at = 0;
  for (const StoredTensor& tensor : tensors) {
    const int64_t end = at + tensor.shape.count() * 4;
    json += fmt::format(",{}:{{\"dtype\":\"F32\",\"shape\":[{}],\"data_offsets\":[{},{}]}}", json_string(tensor.name),
                        fmt::join(tensor.shape.dims(), ","), at, end);
    at = end;
  }
  json += '}';
  json.append((kAlignment - json.size() % kAlignment) % kAlignment, ' ');
  const uint64_t length = json.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + json;
}

void write_safetensors(AtomicFile& file, const NamedTensors& named) {
  const std::vector<StoredTensor>& tensors = named.tensors;
  const std::string header = safetensors_header(named);
  auto bytes = static_cast<int64_t>(header.size());
  for (const StoredTensor& tensor : tensors) bytes += tensor.shape.count() * 4;
  file.expect(bytes);
  file.write(header.data(), header.size());
  for (const StoredTensor& tensor : tensors) {
    const std::vector<float> values = tensor.values();
    file.write(values.data(), values.size() * sizeof(float));
  }
}

struct BlobName {
  std::string layer;
  int blob = 0;
};

BlobName blob_name(const std::string& path, const std::string& tensor) {
  const auto [layer, part, separator] = split_tensor_name(tensor);
  if (separator == '\0') return {tensor, 0};
  if (separator == '.' && part == "weight") return {layer, 0};
  if (separator == '.' && part == "bias") return {layer, 1};
  int blob = -1;
  const auto parsed = std::from_chars(part.data(), part.data() + part.size(), blob);
  if (separator != '/' || parsed.ptr != part.data() + part.size() || blob < 0 || blob >= kMostBlobs)
    throw data_error(
        "cannot write {}: the tensor \"{}\" belongs to no blob of a layer. Name it LAYER/0, LAYER/1, ... with trainer "
        "weights rename, leave it out with trainer weights strip, or write a .safetensors file",
        path, printable(tensor));
  return {layer, blob};
}

// The tensors by layer and blob, layers in the order of their first tensor.
std::vector<std::pair<std::string, std::map<int, const StoredTensor*>>> by_layer(
    const std::string& path, const std::vector<StoredTensor>& tensors) {
  std::vector<std::pair<std::string, std::map<int, const StoredTensor*>>> layers;
  std::map<std::string, size_t> index;
  for (const StoredTensor& tensor : tensors) {
    const BlobName name = blob_name(path, tensor.name);
    const auto [position, fresh] = index.emplace(name.layer, layers.size());
    if (fresh) layers.emplace_back(name.layer, std::map<int, const StoredTensor*>());
    if (!layers[position->second].second.emplace(name.blob, &tensor).second)
      throw data_error("cannot write {}: two tensors belong to blob {} of layer \"{}\"", path, name.blob,
                       printable(name.layer));
  }
  return layers;
}

void write_layers(AtomicFile& file, const NamedTensors& named) {
  const bool hdf5 = is_hdf5_name(file.path());
  const auto layers = by_layer(file.path(), named.tensors);
  std::vector<caffe::LayerParameter> params(layers.size());
  std::vector<std::vector<float>> values;
  values.reserve(named.tensors.size());
  std::vector<WeightLayerRef> refs;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto& [name, blobs] = layers[i];
    params[i].set_name(name);
    const auto type = named.types.find(name);
    if (type != named.types.end() && !type->second.empty()) params[i].set_type(type->second);
    WeightLayerRef ref{name, &params[i], {}};
    for (const auto& [blob, tensor] : blobs) {
      if (!hdf5 && static_cast<size_t>(blob) != ref.blobs.size())
        throw data_error("cannot write {}: blob {} of layer \"{}\" is missing. Write an .h5 file, which may lack blobs",
                         file.path(), ref.blobs.size(), printable(name));
      while (ref.blobs.size() < static_cast<size_t>(blob)) ref.blobs.emplace_back().shared = true;
      values.push_back(tensor->values());
      ref.blobs.push_back({tensor->shape, values.back().data(), nullptr, false});
    }
    refs.push_back(std::move(ref));
  }
  if (hdf5) {
    write_weights_hdf5(file, named.notes, refs);
  } else {
    write_weights(file, named.net_name, named.notes, refs);
  }
}

}  // namespace

const char* const kLayerFormat = "Caffe";

TensorFile tensors_of(const WeightFile& file) {
  if (file.tensors != nullptr) return *file.tensors;
  TensorFile out{file.path, kLayerFormat, {}};
  for (const WeightLayer& layer : file.layers) {
    for (size_t i = 0; i < layer.blobs.size(); ++i) {
      const WeightBlob& blob = layer.blobs[i];
      if (!blob.present) continue;
      out.tensors.push_back({fmt::format("{}/{}", layer.name, i), blob.shape, ElementType::kF32,
                             [&blob](float* to) { std::copy(blob.data.begin(), blob.data.end(), to); }});
    }
  }
  return out;
}

void check_weights_ending(const std::string& path) {
  if (is_safetensors_name(path) || is_npz_name(path) || is_hdf5_name(path) || path.ends_with(".caffemodel")) return;
  throw config_error("{}: the name of a weight file ends in .caffemodel, .caffemodel.h5, .safetensors or .npz", path);
}

void write_tensors(AtomicFile& file, const NamedTensors& named) {
  if (!is_safetensors_name(file.path()) && !is_npz_name(file.path())) return write_layers(file, named);
  check_unique_names(file.path(), named.tensors);
  if (is_npz_name(file.path())) return write_npz(file, named.tensors);
  write_safetensors(file, named);
}

TensorName split_tensor_name(const std::string& name) {
  const size_t at = name.find_last_of("./");
  if (at == std::string::npos) return {"", name, '\0'};
  return {name.substr(0, at), name.substr(at + 1), name[at]};
}

}  // namespace trainer
