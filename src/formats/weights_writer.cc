// Writes weight files.
#include <google/protobuf/text_format.h>

#include <set>

#include "base/error.h"
#include "base/text.h"
#include "formats/hdf5_file.h"
#include "formats/weights.h"
#include "formats/wire_writer.h"
#include "trainer.pb.h"

namespace trainer {
namespace {

constexpr uint32_t kNetName = 1, kNetLayers = 100, kLayerBlobs = 7, kNetClassNames = 5001, kNetPictureInput = 5002;

// The layer's message without its blobs.
std::string serialized_head(const WeightLayerRef& layer) {
  caffe::LayerParameter named;
  const caffe::LayerParameter* head = layer.param;
  if (head == nullptr) {
    named.set_name(layer.name);
    head = &named;
  } else if (head->blobs_size() > 0) {
    named = *head;
    named.clear_blobs();
    head = &named;
  }
  return head->SerializeAsString();
}

int64_t layer_size(const WeightLayerRef& layer, int64_t head_bytes) {
  int64_t size = head_bytes;
  for (const BlobRef& blob : layer.blobs) size += bytes_field_size(kLayerBlobs, blob_proto_size(blob));
  return size;
}

// The fields of NetParameter that have the notes.
std::string serialized(const WeightNotes& notes) {
  std::string fields;
  for (const std::string& name : notes.class_names) append_bytes_field(fields, kNetClassNames, name);
  if (notes.picture_input != nullptr)
    append_bytes_field(fields, kNetPictureInput, notes.picture_input->SerializeAsString());
  return fields;
}

// The values, plus an estimate of the file's own structures.
int64_t hdf5_size_estimate(const std::vector<WeightLayerRef>& layers) {
  int64_t bytes = 4096;
  for (const WeightLayerRef& layer : layers) {
    bytes += 2048;
    for (const BlobRef& blob : layer.blobs) {
      bytes += 512 + (blob.shared ? 0 : blob.shape.count() * 4) + (blob.diff != nullptr ? blob.shape.count() * 4 : 0);
    }
  }
  return bytes;
}

}  // namespace

int64_t binary_weights_size(const std::string& net_name, const WeightNotes& notes,
                            const std::vector<WeightLayerRef>& layers) {
  int64_t size = bytes_field_size(kNetName, static_cast<int64_t>(net_name.size())) +
                 static_cast<int64_t>(serialized(notes).size());
  for (const WeightLayerRef& layer : layers) {
    const auto head_bytes = static_cast<int64_t>(serialized_head(layer).size());
    size += bytes_field_size(kNetLayers, layer_size(layer, head_bytes));
  }
  return size;
}

void check_binary_size(int64_t bytes, const std::string& what) {
  if (bytes <= kLargestBinaryMessage) return;
  throw data_error(
      "cannot write {}: it would take {} ({} bytes), and readers of the binary format accept at most {} bytes. Set "
      "snapshot_format: HDF5 in the solver",
      what, format_bytes(bytes), bytes, kLargestBinaryMessage);
}

void write_weights(AtomicFile& file, const std::string& net_name, const WeightNotes& notes,
                   const std::vector<WeightLayerRef>& layers) {
  const int64_t size = binary_weights_size(net_name, notes, layers);
  check_binary_size(size, file.path());
  file.expect(size);
  const auto write = [&file](const void* bytes, size_t count) { file.write(bytes, count); };
  std::string head;
  append_bytes_field(head, kNetName, net_name);
  file.write(head.data(), head.size());
  for (const WeightLayerRef& layer : layers) {
    const std::string message = serialized_head(layer);
    head.clear();
    append_length_prefix(head, kNetLayers, layer_size(layer, static_cast<int64_t>(message.size())));
    head += message;
    file.write(head.data(), head.size());
    for (const BlobRef& blob : layer.blobs) {
      head.clear();
      append_length_prefix(head, kLayerBlobs, blob_proto_size(blob));
      file.write(head.data(), head.size());
      write_blob_proto(blob, write);
    }
  }
  head = serialized(notes);
  file.write(head.data(), head.size());
}

void check_hdf5_names(const std::string& what, const std::vector<Hdf5LayerName>& layers) {
  const auto refuse = [&what](const std::string& name, const std::string& why) {
    return data_error(
        "cannot write {}: HDF5 cannot keep the layer \"{}\": {}. Rename it, or use snapshot_format: BINARYPROTO", what,
        name, why);
  };
  std::set<std::string> with_blobs, datasets;
  for (const Hdf5LayerName& layer : layers) {
    // HDF5 ignores "." and repeated or outer slashes in a path.
    for (const std::string& part : split(layer.name, '/')) {
      if (part.empty() || part == "." || layer.name.find('\0') != std::string::npos)
        throw refuse(layer.name, "its name is not a valid path of groups");
    }
    if (layer.blobs > 0 && !with_blobs.insert(layer.name).second)
      throw refuse(layer.name, "another layer with learned blobs has this name");
    for (size_t i = 0; i < layer.blobs; ++i) datasets.insert(fmt::format("{}/{}", layer.name, i));
  }
  for (const Hdf5LayerName& layer : layers) {
    for (size_t slash = layer.name.find('/'); slash != std::string::npos;) {
      slash = layer.name.find('/', slash + 1);
      if (datasets.count(layer.name.substr(0, slash)) > 0)
        throw refuse(layer.name, "a blob of another layer has the same path in the file");
    }
  }
}

void write_weights_hdf5(AtomicFile& target, const WeightNotes& notes, const std::vector<WeightLayerRef>& layers) {
  std::vector<Hdf5LayerName> names;
  for (const WeightLayerRef& layer : layers) names.push_back({layer.name, layer.blobs.size()});
  check_hdf5_names(target.path(), names);
  target.expect(hdf5_size_estimate(layers));
  Hdf5File file = Hdf5File::create(target.temporary_path(), target.path());
  if (!notes.class_names.empty()) file.write_string(kClassNames, fmt::format("{}", fmt::join(notes.class_names, "\n")));
  if (notes.picture_input != nullptr) {
    std::string text;
    google::protobuf::TextFormat::PrintToString(*notes.picture_input, &text);
    file.write_string(kPictureInput, text);
  }
  file.make_group("data");
  bool any_diff = false;
  for (const WeightLayerRef& layer : layers) {
    const std::string group = "data/" + layer.name;
    file.make_group(group);
    for (size_t i = 0; i < layer.blobs.size(); ++i) {
      const BlobRef& blob = layer.blobs[i];
      any_diff = any_diff || blob.diff != nullptr;
      if (!blob.shared) file.write_floats(fmt::format("{}/{}", group, i), blob.shape, blob.data);
    }
  }
  if (any_diff) {
    for (const WeightLayerRef& layer : layers) {
      const std::string group = "diff/" + layer.name;
      file.make_group(group);
      for (size_t i = 0; i < layer.blobs.size(); ++i) {
        const BlobRef& blob = layer.blobs[i];
        if (blob.diff != nullptr) file.write_floats(fmt::format("{}/{}", group, i), blob.shape, blob.diff);
      }
    }
  }
  file.close();
}

}  // namespace trainer
