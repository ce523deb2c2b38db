// The multipliers of a solver for the learning rates and the decay of a net's parameters: param_rule and layer_decay.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "lowering/lower_net.h"
#include "trainer.pb.h"

namespace trainer {

// The states of the trained parameters that a rule matches: by the name of a layer that has it, of its state or of the
// parameter.
std::set<std::string> matched_parameters(const caffe::ParamRule& rule, const LoweredNet& net);

// For each layer, the number of layers with weights on the longest way from its tops to the end of the net. A layer has
// weights if one of its learned blobs has two or more axes.
std::vector<int> weight_layers_after(const LoweredNet& net);

// Multiplies lr_mult and decay_mult of the net's parameters.
void apply_multipliers(const ParameterMultipliers& multipliers, LoweredNet* net);

}  // namespace trainer
