// An ONNX model in memory: the part of onnx.proto that exported nets use.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "formats/atomic_file.h"

namespace trainer {

// The numbers of TensorProto.DataType.
enum class OnnxType : int { kFloat = 1, kInt64 = 7, kBool = 9 };

struct OnnxTensor {
  std::string name;
  OnnxType type = OnnxType::kFloat;  // kFloat or kInt64
  std::vector<int64_t> dims;
  std::vector<float> floats;
  std::vector<int64_t> ints;
};

struct OnnxAttribute {
  std::string name;
  std::variant<float, int64_t, std::string, std::vector<int64_t>> value;
};

struct OnnxNode {
  std::string type, name;
  std::vector<std::string> inputs, outputs;  // an input that is left out is ""
  std::vector<OnnxAttribute> attributes;

  const OnnxAttribute* find(const std::string& attribute) const;
  // The value of the attribute, or `fallback`.
  int64_t integer(const std::string& attribute, int64_t fallback) const;
  float number(const std::string& attribute, float fallback) const;
  std::string text(const std::string& attribute, const std::string& fallback) const;
  std::vector<int64_t> integers(const std::string& attribute, const std::vector<int64_t>& fallback) const;
};

constexpr int64_t kBatchExtent = -1;  // the symbolic extent "N"

// An input or output, of floats.
struct OnnxValue {
  std::string name;
  std::vector<int64_t> dims;  // may be kBatchExtent
  std::string doc;            // for the user of the model; the reader leaves it out
};

struct OnnxModel {
  std::string name;
  int64_t opset = 0;
  std::vector<OnnxNode> nodes;
  std::vector<OnnxTensor> initializers;
  std::vector<OnnxValue> inputs, outputs;
  // For the user of the model; the reader leaves them out.
  std::string doc;
  std::vector<std::pair<std::string, std::string>> metadata;  // keys and values
};

// The largest message that protobuf reads, less some room for the readers.
constexpr int64_t kLargestOnnxFile = 2147480000;

// Whether initializers go to a file of their own, because the model would be larger than `most` bytes.
bool needs_data_file(const OnnxModel& model, int64_t most = kLargestOnnxFile);

// Writes the model; the caller commits the files. With `data`, large initializers are written to it, and the model
// names that file `data_name`.
void write_onnx(const OnnxModel& model, AtomicFile& file, AtomicFile* data, const std::string& data_name);

// Reads a model that write_onnx wrote to a file, with external data in the file `data_path`. Only for the check of an
// export: it does not check models of other programs, whose initializers formats/tensors reads. Throws a data_error if
// the file is cut or its tensors have other sizes than their dims.
OnnxModel read_onnx(const std::string& path, const std::string& data_path);

}  // namespace trainer
