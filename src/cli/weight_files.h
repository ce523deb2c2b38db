// What `trainer weights` does with weight files, apart from its output.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "formats/weight_map.h"
#include "formats/weight_tensors.h"

namespace trainer {

// A weight file of any format. Values of other programs' files stay in the file until they are needed.
struct LoadedWeights {
  explicit LoadedWeights(const std::string& path);

  int64_t count() const;
  // The type of the layer that a tensor LAYER/BLOB belongs to; "" if it is unknown.
  std::string type_of(const std::string& tensor) const;

  std::string path;
  std::shared_ptr<const WeightFile> file;
  TensorFile tensors;
  std::map<std::string, std::string> types;  // by layer
};

struct TensorStatistics {
  double min = 0, max = 0, mean = 0;  // NaN if a value is NaN or there is none
};
TensorStatistics statistics_of(const StoredTensor& tensor);

struct TensorDifference {
  std::string name;
  double largest = 0;
  std::string problem;  // why there is no difference: a shape, or a file that lacks the tensor
};
std::vector<TensorDifference> differences_of(const LoadedWeights& a, const LoadedWeights& b);

// The results refer to the files.
NamedTensors merged(const std::vector<LoadedWeights>& files);
NamedTensors averaged(const std::vector<LoadedWeights>& files);
// `renames` are OLD=NEW. A rename that matches no tensor, and two tensors of one new name, are errors.
NamedTensors renamed(const LoadedWeights& file, const std::vector<std::string>& renames,
                     const std::vector<WeightMapLine>& map);
// Each pattern must match a layer or a tensor.
NamedTensors stripped(const LoadedWeights& file, const std::vector<std::string>& patterns);

}  // namespace trainer
