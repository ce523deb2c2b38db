// The learned blobs of a net during lowering: their states, and the layers that share them.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "layers/layer.h"
#include "lowering/lower_net.h"

namespace trainer {

class ParameterTable {
 public:
  // `separate_readers` as in LowerOptions.
  ParameterTable(LoweredNet& net, bool separate_readers) : net_(net), separate_readers_(separate_readers) {}

  // Adds the next blob of a layer and returns its value. A blob whose param spec has a known name shares that state;
  // reports a mismatch through `context`.
  Value add(LayerContext& context, int layer, const Shape& shape, const caffe::FillerParameter& filler, bool statistic);

 private:
  struct Shared {
    int owner = -1;                            // index in LoweredNet::parameters
    std::optional<float> lr_mult, decay_mult;  // given by the owner or a sharer
  };

  std::string state_name(int layer, int blob);
  void share(LayerContext& context, const caffe::ParamSpec& spec, ParameterInfo& parameter);
  // Uses a multiplier that a sharing layer gives; fails if another value is known.
  void agree(LayerContext& context, const std::string& what, const ParameterInfo& parameter, float given,
             std::optional<float>& known, float& owners);

  LoweredNet& net_;
  const bool separate_readers_;
  std::map<std::string, Shared> shared_;
  std::map<std::string, int> holder_;  // prefix of state names -> layer
};

}  // namespace trainer
