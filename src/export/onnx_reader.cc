// Reads ONNX models that write_onnx wrote. It trusts their structure: no command reads the file of a user with it.
#include <bit>

#include "base/error.h"
#include "export/onnx_model.h"
#include "formats/input_file.h"
#include "formats/onnx_fields.h"
#include "formats/wire_reader.h"
#include "tensor/shape.h"

namespace trainer {
namespace {

using namespace onnx_fields;

class OnnxReader {
 public:
  OnnxReader(const std::string& path, const std::string& data_path)
      : file_(path, "ONNX file"), reader_(file_.descriptor(), file_.size()), data_path_(data_path) {}

  OnnxModel read() {
    while (reader_.next()) {
      if (reader_.is(kModelGraph, WireType::kBytes)) {
        message([this] { graph_field(); });
      } else if (reader_.is(kModelOpset, WireType::kBytes)) {
        message([this] {
          if (reader_.is(kOpsetVersion, WireType::kVarint)) {
            model_.opset = static_cast<int64_t>(reader_.varint());
          } else {
            reader_.skip();
          }
        });
      } else {
        reader_.skip();
      }
    }
    return std::move(model_);
  }

 private:
  // Reads the message after the last tag; `field` reads each of its fields.
  template <typename Field>
  void message(Field field) {
    const int64_t outer = reader_.enter();
    while (reader_.next()) field();
    reader_.leave(outer);
  }

  void graph_field() {
    if (reader_.type() != WireType::kBytes) return reader_.skip();
    switch (reader_.field()) {
      case kGraphNode: model_.nodes.emplace_back(); return message([this] { node_field(model_.nodes.back()); });
      case kGraphName: model_.name = reader_.text(); return;
      case kGraphInitializer: return initializer();
      case kGraphInput: model_.inputs.emplace_back(); return message([this] { value_field(model_.inputs.back()); });
      case kGraphOutput: model_.outputs.emplace_back(); return message([this] { value_field(model_.outputs.back()); });
      default: return reader_.skip();
    }
  }

  void node_field(OnnxNode& node) {
    switch (reader_.field()) {
      case kNodeInput: node.inputs.push_back(reader_.text()); return;
      case kNodeOutput: node.outputs.push_back(reader_.text()); return;
      case kNodeName: node.name = reader_.text(); return;
      case kNodeType: node.type = reader_.text(); return;
      case kNodeAttribute: return attribute(node);
      default: return reader_.skip();
    }
  }

  void attribute(OnnxNode& node) {
    OnnxAttribute attribute;
    std::vector<int64_t> ints;
    uint64_t type = 0;
    message([&] {
      switch (reader_.field()) {
        case kAttributeName: attribute.name = reader_.text(); return;
        case kAttributeFloat: attribute.value = std::bit_cast<float>(reader_.fixed32()); return;
        case kAttributeInt: attribute.value = static_cast<int64_t>(reader_.varint()); return;
        case kAttributeString: attribute.value = reader_.text(); return;
        case kAttributeInts: reader_.append_int64s(ints); return;
        case kAttributeType: type = reader_.varint(); return;
        default: reader_.skip();
      }
    });
    if (type == 7) attribute.value = ints;
    node.attributes.push_back(std::move(attribute));
  }

  void value_field(OnnxValue& value) {
    if (reader_.is(kValueName, WireType::kBytes)) {
      value.name = reader_.text();
    } else if (reader_.is(kValueType, WireType::kBytes)) {
      message([&] { message([&] { shape_field(value); }); });
    } else {
      reader_.skip();
    }
  }

  void shape_field(OnnxValue& value) {
    if (!reader_.is(kTensorTypeShape, WireType::kBytes)) return reader_.skip();
    message([&] {
      value.dims.push_back(kBatchExtent);
      message([&] {
        if (reader_.is(kDimValue, WireType::kVarint)) {
          value.dims.back() = static_cast<int64_t>(reader_.varint());
        } else {
          reader_.skip();
        }
      });
    });
  }

  void initializer() {
    OnnxTensor tensor;
    std::string key, offset;
    bool external = false;
    int64_t raw_bytes = -1;
    message([&] {
      switch (reader_.field()) {
        case kTensorDims: reader_.append_int64s(tensor.dims); return;
        case kTensorDataType: tensor.type = static_cast<OnnxType>(reader_.varint()); return;
        case kTensorName: tensor.name = reader_.text(); return;
        case kTensorLocation: external = reader_.varint() == 1; return;
        case kTensorExternal:
          return message([&] {
            const bool is_key = reader_.field() == kEntryKey;
            const std::string text = reader_.text();
            if (is_key) key = text;
            if (!is_key && key == "offset") offset = text;
          });
        case kTensorRawData:
          raw_bytes = reader_.length();
          return reader_.bytes(memory_of(tensor, raw_bytes), raw_bytes);
        default: reader_.skip();
      }
    });
    if (external) read_external(tensor, offset);
    model_.initializers.push_back(std::move(tensor));
  }

  // Memory for the data of the tensor, which has this many bytes, or as many as its dims need.
  char* memory_of(OnnxTensor& tensor, int64_t bytes = -1) const {
    const int64_t size = tensor.type == OnnxType::kInt64 ? 8 : 4, count = Shape(tensor.dims).count();
    if ((tensor.type != OnnxType::kFloat && tensor.type != OnnxType::kInt64) || (bytes >= 0 && bytes != count * size))
      throw data_error("{}: the tensor \"{}\" does not have the bytes of its dims", file_.path(), tensor.name);
    if (tensor.type == OnnxType::kInt64) {
      tensor.ints.resize(static_cast<size_t>(count));
      return reinterpret_cast<char*>(tensor.ints.data());
    }
    tensor.floats.resize(static_cast<size_t>(count));
    return reinterpret_cast<char*>(tensor.floats.data());
  }

  void read_external(OnnxTensor& tensor, const std::string& offset) const {
    const InputFile data(data_path_, "data of the ONNX file");
    char* const out = memory_of(tensor);
    data.read(std::stoll(offset), out, static_cast<int64_t>(tensor.floats.size() * 4 + tensor.ints.size() * 8));
  }

  const InputFile file_;
  WireReader reader_;
  const std::string data_path_;
  OnnxModel model_;
};

}  // namespace

const OnnxAttribute* OnnxNode::find(const std::string& attribute) const {
  for (const OnnxAttribute& each : attributes) {
    if (each.name == attribute) return &each;
  }
  return nullptr;
}
int64_t OnnxNode::integer(const std::string& attribute, int64_t fallback) const {
  const OnnxAttribute* found = find(attribute);
  return found == nullptr ? fallback : std::get<int64_t>(found->value);
}
float OnnxNode::number(const std::string& attribute, float fallback) const {
  const OnnxAttribute* found = find(attribute);
  return found == nullptr ? fallback : std::get<float>(found->value);
}
std::string OnnxNode::text(const std::string& attribute, const std::string& fallback) const {
  const OnnxAttribute* found = find(attribute);
  return found == nullptr ? fallback : std::get<std::string>(found->value);
}
std::vector<int64_t> OnnxNode::integers(const std::string& attribute, const std::vector<int64_t>& fallback) const {
  const OnnxAttribute* found = find(attribute);
  return found == nullptr ? fallback : std::get<std::vector<int64_t>>(found->value);
}

OnnxModel read_onnx(const std::string& path, const std::string& data_path) {
  try {
    return OnnxReader(path, data_path).read();
  } catch (const WireError& error) {
    throw data_error("{}: {} at byte {}", path, error.what(), error.offset());
  }
}

}  // namespace trainer
