// Writes ONNX models. The field numbers are those of onnx.proto.
#include <cstring>

#include "export/onnx_model.h"
#include "formats/onnx_fields.h"
#include "formats/wire_writer.h"

namespace trainer {
namespace {

using namespace onnx_fields;

constexpr int64_t kSmallTensor = 1024;  // bytes; smaller ones stay in the model

void append_float_field(std::string& out, uint32_t field, float value) {
  append_varint(out, uint64_t{field} << 3 | 5);
  char bytes[sizeof value];
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

struct AttributeWriter {
  std::string& out;

  void operator()(float value) const {
    append_float_field(out, kAttributeFloat, value);
    type(1);
  }
  void operator()(int64_t value) const {
    append_varint_field(out, kAttributeInt, static_cast<uint64_t>(value));
    type(2);
  }
  void operator()(const std::string& value) const {
    append_bytes_field(out, kAttributeString, value);
    type(3);
  }
  void operator()(const std::vector<int64_t>& values) const {
    for (const int64_t value : values) append_varint_field(out, kAttributeInts, static_cast<uint64_t>(value));
    type(7);
  }
  void type(uint64_t number) const { append_varint_field(out, kAttributeType, number); }
};

std::string node_message(const OnnxNode& node) {
  std::string out;
  for (const std::string& input : node.inputs) append_bytes_field(out, kNodeInput, input);
  for (const std::string& output : node.outputs) append_bytes_field(out, kNodeOutput, output);
  append_bytes_field(out, kNodeName, node.name);
  append_bytes_field(out, kNodeType, node.type);
  for (const OnnxAttribute& attribute : node.attributes) {
    std::string message;
    append_bytes_field(message, kAttributeName, attribute.name);
    std::visit(AttributeWriter{message}, attribute.value);
    append_bytes_field(out, kNodeAttribute, message);
  }
  return out;
}

std::string value_message(const OnnxValue& value) {
  std::string shape;
  for (const int64_t dim : value.dims) {
    std::string message;
    if (dim == kBatchExtent) {
      append_bytes_field(message, kDimName, "N");
    } else {
      append_varint_field(message, kDimValue, static_cast<uint64_t>(dim));
    }
    append_bytes_field(shape, kShapeDim, message);
  }
  std::string tensor, type, out;
  append_varint_field(tensor, kTensorTypeElement, static_cast<uint64_t>(OnnxType::kFloat));
  append_bytes_field(tensor, kTensorTypeShape, shape);
  append_bytes_field(type, kTypeTensor, tensor);
  append_bytes_field(out, kValueName, value.name);
  append_bytes_field(out, kValueType, type);
  if (!value.doc.empty()) append_bytes_field(out, kValueDoc, value.doc);
  return out;
}

int64_t bytes_of(const OnnxTensor& tensor) {
  return static_cast<int64_t>(tensor.type == OnnxType::kFloat ? tensor.floats.size() * sizeof(float)
                                                              : tensor.ints.size() * sizeof(int64_t));
}

const char* data_of(const OnnxTensor& tensor) {
  return tensor.type == OnnxType::kFloat ? reinterpret_cast<const char*>(tensor.floats.data())
                                         : reinterpret_cast<const char*>(tensor.ints.data());
}

std::string tensor_head(const OnnxTensor& tensor) {
  std::string out;
  for (const int64_t dim : tensor.dims) append_varint_field(out, kTensorDims, static_cast<uint64_t>(dim));
  append_varint_field(out, kTensorDataType, static_cast<uint64_t>(tensor.type));
  append_bytes_field(out, kTensorName, tensor.name);
  return out;
}

void append_entry(std::string& out, uint32_t field, const std::string& key, const std::string& value) {
  std::string entry;
  append_bytes_field(entry, kEntryKey, key);
  append_bytes_field(entry, kEntryValue, value);
  append_bytes_field(out, field, entry);
}

// The tensor without its data, which is in `data_name` from `offset` on.
std::string external_tensor(const OnnxTensor& tensor, const std::string& data_name, int64_t offset) {
  std::string out = tensor_head(tensor);
  append_entry(out, kTensorExternal, "location", data_name);
  append_entry(out, kTensorExternal, "offset", std::to_string(offset));
  append_entry(out, kTensorExternal, "length", std::to_string(bytes_of(tensor)));
  append_varint_field(out, kTensorLocation, 1);
  return out;
}

// Everything of the graph but the initializers.
std::string graph_head(const OnnxModel& model) {
  std::string out;
  for (const OnnxNode& node : model.nodes) append_bytes_field(out, kGraphNode, node_message(node));
  append_bytes_field(out, kGraphName, model.name.empty() ? "net" : model.name);
  for (const OnnxValue& value : model.inputs) append_bytes_field(out, kGraphInput, value_message(value));
  for (const OnnxValue& value : model.outputs) append_bytes_field(out, kGraphOutput, value_message(value));
  return out;
}

std::string model_head(const OnnxModel& model) {
  std::string opset, out;
  append_bytes_field(opset, kOpsetDomain, "");
  append_varint_field(opset, kOpsetVersion, static_cast<uint64_t>(model.opset));
  append_varint_field(out, kModelIrVersion, model.opset < 15 ? 7 : 8);
  append_bytes_field(out, kModelProducer, "trainer");
  append_bytes_field(out, kModelProducerVersion, TRAINER_VERSION);
  if (!model.doc.empty()) append_bytes_field(out, kModelDoc, model.doc);
  for (const auto& [key, value] : model.metadata) append_entry(out, kModelMetadata, key, value);
  append_bytes_field(out, kModelOpset, opset);
  return out;
}

}  // namespace

bool needs_data_file(const OnnxModel& model, int64_t most) {
  int64_t bytes = static_cast<int64_t>(graph_head(model).size());
  for (const OnnxTensor& tensor : model.initializers)
    bytes += bytes_of(tensor) + static_cast<int64_t>(tensor_head(tensor).size()) + 32;
  return bytes > most;
}

void write_onnx(const OnnxModel& model, AtomicFile& file, AtomicFile* data, const std::string& data_name) {
  const std::string nodes = graph_head(model);
  std::vector<std::string> heads;
  std::vector<bool> external;
  int64_t graph_bytes = static_cast<int64_t>(nodes.size()), offset = 0;
  for (const OnnxTensor& tensor : model.initializers) {
    external.push_back(data != nullptr && bytes_of(tensor) >= kSmallTensor);
    heads.push_back(external.back() ? external_tensor(tensor, data_name, offset) : tensor_head(tensor));
    int64_t size = static_cast<int64_t>(heads.back().size());
    if (external.back()) {
      offset += bytes_of(tensor);
    } else {
      append_length_prefix(heads.back(), kTensorRawData, bytes_of(tensor));
      size += bytes_field_size(kTensorRawData, bytes_of(tensor));
    }
    std::string prefix;
    append_length_prefix(prefix, kGraphInitializer, size);
    heads.back().insert(0, prefix);
    graph_bytes += bytes_field_size(kGraphInitializer, size);
  }
  std::string head = model_head(model);
  append_length_prefix(head, kModelGraph, graph_bytes);
  file.expect(static_cast<int64_t>(head.size()) + graph_bytes - offset);
  if (data != nullptr) data->expect(offset);
  file.write(head.data(), head.size());
  file.write(nodes.data(), nodes.size());
  for (size_t i = 0; i < heads.size(); ++i) {
    const OnnxTensor& tensor = model.initializers[i];
    file.write(heads[i].data(), heads[i].size());
    (external[i] ? *data : file).write(data_of(tensor), static_cast<size_t>(bytes_of(tensor)));
  }
}

}  // namespace trainer
