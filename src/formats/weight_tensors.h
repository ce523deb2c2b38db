// Weight files of all formats as lists of tensors, and their writers.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/tensors/tensor_file.h"
#include "formats/weights.h"

namespace trainer {

// The format of a TensorFile whose tensors "LAYER/BLOB" are the blobs of layers.
extern const char* const kLayerFormat;

// The tensors of a file, those of layers in file order. The file must outlive the result.
TensorFile tensors_of(const WeightFile& file);

// The name of a tensor in parts: "conv1", "weight" and '.' of "conv1.weight"; "", the name and '\0' without a
// separator.
struct TensorName {
  std::string layer, part;
  char separator;  // '.' or '/'
};
TensorName split_tensor_name(const std::string& name);

// Tensors to write, with what only files of layers have.
struct NamedTensors {
  std::vector<StoredTensor> tensors;
  std::string net_name;
  WeightNotes notes;
  std::map<std::string, std::string> types;  // of layers
};

// Throws a config_error unless the ending of the path is .caffemodel, .h5, .safetensors or .npz.
void check_weights_ending(const std::string& path);

// Writes the tensors as 32-bit floats in the format that the ending of the path names. Files of layers need names
// "LAYER/BLOB"; "LAYER.weight" and "LAYER.bias" are taken as blobs 0 and 1, a name without a part as blob 0. Any other
// name is a data_error.
void write_tensors(AtomicFile& file, const NamedTensors& named);

}  // namespace trainer
