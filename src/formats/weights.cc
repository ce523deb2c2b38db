// Reads weight files.
#include "formats/weights.h"

#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/text_format.h>

#include <array>

#include "base/error.h"
#include "base/text.h"
#include "formats/hdf5_file.h"
#include "formats/input_file.h"
#include "formats/wire_reader.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

// A layer with more blobs, or a net of more than a million layers, is a damaged file, not a model.
constexpr size_t kMostBlobs = 1 << 16;
constexpr size_t kMostLayers = 1'000'000;
constexpr int kDeepestGroup = 32;

// The field numbers of one generation of layer messages.
struct LayerFields {
  uint32_t name, blobs, type;
  WireType type_wire;
};
constexpr LayerFields kLayer{1, 7, 2, WireType::kBytes};
constexpr LayerFields kV1Layer{4, 6, 5, WireType::kVarint};
constexpr LayerFields kV0Layer{1, 50, 2, WireType::kBytes};
constexpr uint32_t kV1NestedV0 = 1;

constexpr uint32_t kNetName = 1, kNetV1Layers = 2, kNetLayers = 100, kNetClassNames = 5001, kNetPictureInput = 5002;

// Indexed by V1LayerParameter.LayerType.
constexpr std::array<const char*, 40> kV1Types = {
    "",
    "Accuracy",
    "BNLL",
    "Concat",
    "Convolution",
    "Data",
    "Dropout",
    "EuclideanLoss",
    "Flatten",
    "HDF5Data",
    "HDF5Output",
    "Im2col",
    "ImageData",
    "InfogainLoss",
    "InnerProduct",
    "LRN",
    "MultinomialLogisticLoss",
    "Pooling",
    "ReLU",
    "Sigmoid",
    "Softmax",
    "SoftmaxWithLoss",
    "Split",
    "TanH",
    "WindowData",
    "Eltwise",
    "Power",
    "SigmoidCrossEntropyLoss",
    "HingeLoss",
    "MemoryData",
    "ArgMax",
    "Threshold",
    "DummyData",
    "Slice",
    "MVN",
    "AbsVal",
    "Silence",
    "ContrastiveLoss",
    "Exp",
    "Deconvolution",
};

// Reads the layer message that the reader is in. Fills `layer` while reading, so that an error can name it.
void read_layer(WireReader& reader, const LayerFields& fields, WeightLayer& layer) {
  while (reader.next()) {
    if (reader.is(fields.name, WireType::kBytes)) {
      layer.name = reader.text();
    } else if (reader.field() == fields.type && reader.type() == fields.type_wire) {
      if (fields.type_wire == WireType::kBytes) {
        layer.type = reader.text();
      } else {
        const uint64_t number = reader.varint();
        layer.type = number < kV1Types.size() ? kV1Types[number] : fmt::format("V1 type {}", number);
      }
    } else if (reader.is(fields.blobs, WireType::kBytes)) {
      if (layer.blobs.size() == kMostBlobs) throw WireError(reader.position(), "more than 65,536 blobs in one layer");
      const int64_t outer = reader.enter();
      layer.blobs.push_back(read_blob_proto(reader));
      reader.leave(outer);
    } else if (&fields == &kV1Layer && reader.is(kV1NestedV0, WireType::kBytes)) {
      const int64_t outer = reader.enter();
      read_layer(reader, kV0Layer, layer);
      reader.leave(outer);
    } else {
      reader.skip();
    }
  }
}

std::string location_of(const WeightLayer& layer, size_t index) {
  const std::string name = layer.name.empty() ? "without a name" : fmt::format("\"{}\"", layer.name);
  return fmt::format("layer {} (number {} in the file), blob {}", name, index, layer.blobs.size());
}

WeightFile read_binary(const std::string& path) {
  const InputFile file(path, "weight file");
  if (file.size() == 0) throw data_error("{} is empty: not a weight file", path);
  if (file.looks_like_text()) {
    throw data_error("{} is text, not a weight file. Pass a prototxt with --model, or name it in the solver", path);
  }
  WireReader reader(file.descriptor(), file.size());
  WeightFile out;
  out.path = path;
  bool in_layer = false;
  int64_t promised_end = 0;
  try {
    while (reader.next()) {
      const bool v1 = reader.is(kNetV1Layers, WireType::kBytes);
      if (reader.is(kNetName, WireType::kBytes)) {
        out.net_name = reader.text();
      } else if (reader.is(kNetClassNames, WireType::kBytes)) {
        out.notes.class_names.push_back(reader.text());
      } else if (reader.is(kNetPictureInput, WireType::kBytes)) {
        auto input = std::make_shared<caffe::PictureInput>();
        if (input->ParseFromString(reader.text())) out.notes.picture_input = input;
      } else if (reader.is(kNetName, WireType::kVarint) && out.layers.empty()) {
        throw data_error(
            "{} is not a weight file; it looks like a solver state (pass it with --snapshot) or a mean image", path);
      } else if (v1 || reader.is(kNetLayers, WireType::kBytes)) {
        if (out.layers.size() == kMostLayers) throw WireError(reader.position(), "more than a million layers");
        const int64_t outer = reader.enter_truncated(promised_end);
        out.layers.emplace_back();
        in_layer = true;
        read_layer(reader, v1 ? kV1Layer : kLayer, out.layers.back());
        if (promised_end > file.size()) throw WireError(reader.position(), "the message ends too early");
        reader.leave(outer);
        in_layer = false;
      } else {
        reader.skip();
      }
    }
  } catch (const WireError& error) {
    const std::string location = in_layer ? ", " + location_of(out.layers.back(), out.layers.size()) : "";
    if (in_layer && promised_end > file.size()) {
      throw data_error(
          "{}: the file is {} bytes long and ends inside {}; that layer should reach byte {}. Copy or download it "
          "again (byte {}: {})",
          path, file.size(), location.substr(2), promised_end, error.offset(), error.what());
    }
    throw data_error("{} is not a readable weight file{}: {} at byte {}; the file is {} bytes long", path, location,
                     error.what(), error.offset(), file.size());
  }
  if (out.layers.empty()) {
    throw data_error("{} is not a weight file: no layer in its {} bytes", path, file.size());
  }
  return out;
}

// The number of a dataset that is a blob ("0", "1", ...), or -1.
int blob_number(const std::string& name) {
  if (name.empty() || name.size() > 5 || name.find_first_not_of("0123456789") != std::string::npos) return -1;
  const int number = std::stoi(name);
  return number < static_cast<int>(kMostBlobs) && std::to_string(number) == name ? number : -1;
}

// A group is a layer if it has blobs or no subgroups: the outer groups of a layer named "a/b" are not layers.
void collect_layers(const Hdf5File& file, const std::string& name, int depth, std::vector<WeightLayer>& layers) {
  const std::string group = name.empty() ? "data" : "data/" + name;
  if (depth > kDeepestGroup) throw data_error("{}: groups are nested too deeply at \"{}\"", file.path(), group);
  if (layers.size() == kMostLayers) throw data_error("{}: more than a million layers", file.path());
  WeightLayer layer;
  layer.name = name;
  std::vector<std::string> groups;
  for (const std::string& child : file.children(group)) {
    const std::string path = group + "/" + child;
    if (file.has_group(path)) {
      groups.push_back(child);
    } else if (const int number = blob_number(child); number >= 0 && file.has_dataset(path)) {
      while (layer.blobs.size() < static_cast<size_t>(number)) {
        layer.blobs.emplace_back();
        layer.blobs.back().present = false;
      }
      layer.blobs.push_back(read_hdf5_blob(file, path));
      const std::string diff = fmt::format("diff/{}/{}", name, child);
      if (file.has_dataset(diff) && file.dataset(diff).shape == layer.blobs.back().shape) {
        layer.blobs.back().diff = file.read_floats(diff);
      }
    }
  }
  if (!name.empty() && (!layer.blobs.empty() || groups.empty())) layers.push_back(std::move(layer));
  for (const std::string& child : groups) {
    collect_layers(file, name.empty() ? child : name + "/" + child, depth + 1, layers);
  }
}

// nullptr if the text is damaged.
std::shared_ptr<const caffe::PictureInput> parsed_input(const std::string& text) {
  class : public google::protobuf::io::ErrorCollector {
    void AddError(int, int, const std::string&) override {}
  } no_log;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&no_log);
  parser.AllowUnknownField(true);  // of a later version
  auto input = std::make_shared<caffe::PictureInput>();
  return parser.ParseFromString(text, input.get()) ? input : nullptr;
}

WeightFile read_hdf5(const std::string& path) {
  const Hdf5File file = Hdf5File::open(path);
  if (!file.has_group("data")) {
    throw data_error("{} is an HDF5 file but holds no weights: group \"/data\" is missing{}", path,
                     file.has_group("history")  ? "; it looks like a solver state (pass it with --snapshot)"
                     : file.has_dataset("data") ? "; it looks like training data"
                                                : "");
  }
  WeightFile out;
  out.path = path;
  out.omits_shared = true;
  if (file.has_dataset(kClassNames)) out.notes.class_names = split(file.read_string(kClassNames), '\n');
  if (file.has_dataset(kPictureInput)) out.notes.picture_input = parsed_input(file.read_string(kPictureInput));
  collect_layers(file, "", 0, out.layers);
  return out;
}

}  // namespace

WeightBlob read_hdf5_blob(const Hdf5File& file, const std::string& dataset) {
  WeightBlob blob;
  blob.shape = file.dataset(dataset).shape;
  if (blob.shape.count() > kMostElements)
    throw data_error("{}: dataset \"{}\" ({}) is not a blob: it has more than {} values", file.path(), dataset,
                     blob.shape.text(), kMostElements);
  blob.data = file.read_floats(dataset);
  return blob;
}

WeightFile read_weights(const std::string& path) {
  if (Hdf5File::has_signature(path)) return read_hdf5(path);
  if (std::optional<TensorFile> tensors = open_tensors(path)) {
    WeightFile out;
    out.path = path;
    const auto note = [&](const char* key) {
      const auto found = tensors->metadata.find(key);
      return found == tensors->metadata.end() ? std::string() : found->second;
    };
    if (const std::string names = note(kClassNames); !names.empty()) out.notes.class_names = split(names, '\n');
    if (const std::string input = note(kPictureInput); !input.empty()) out.notes.picture_input = parsed_input(input);
    out.tensors = std::make_shared<const TensorFile>(*std::move(tensors));
    return out;
  }
  return read_binary(path);
}

}  // namespace trainer
