// Assigns the tensors of a file of another program to the learned blobs of a net.
#pragma once

#include <string>
#include <vector>

#include "formats/weight_map.h"
#include "formats/weights.h"
#include "lowering/lower_net.h"

namespace trainer {

struct WeightMatching {
  // Lines of a weight map. A tensor that no line names is matched by name.
  std::vector<WeightMapLine> map;
  // The tensors in the order of the file are the learned blobs in the order of the net.
  bool by_order = false;
  // Patterns of parameters that keep their values, whatever the file has for them (lowering/multipliers.h).
  std::vector<std::string> fresh = {};

  bool by_name() const { return map.empty() && !by_order; }
};

// The tensors as layers of the net, with blobs in the net's order. By name, "L.weight" and "L.bias" are blobs 0 and 1
// of layer L, "L/N" is blob N; running_mean and running_var are blobs 0 and 1 of a BatchNorm layer, whose weight and
// bias are those of the Scale layer that reads it. weight_ih_l0, weight_hh_l0, bias_ih_l0 and bias_hh_l0, with or
// without
// "_l0", are those of an LSTM layer, in PyTorch's order of gates. Names may begin with "state_dict.", "model.", "net."
// or "module.". A tensor that the net does not need becomes a layer that the net lacks; num_batches_tracked is left
// out.
//
// The values are read from the file when they are loaded. Two tensors for one blob are a data_error.
WeightFile assign_tensors(const TensorFile& file, const WeightMatching& matching, const LoweredNet& net);

}  // namespace trainer
