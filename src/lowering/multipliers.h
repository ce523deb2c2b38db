// The multipliers of a solver for the learning rates and the decay of a net's parameters: param_rule, layer_decay and
// freeze.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "lowering/lower_net.h"
#include "trainer.pb.h"

namespace trainer {

// Whether statistics count as parameters.
enum class Statistics { kIgnored, kMatched };
// The states of the parameters that a pattern matches: by the name of a layer that has it, of its state or of the
// parameter.
std::set<std::string> matched_parameters(const std::string& pattern, const LoweredNet& net, Statistics statistics);
std::set<std::string> matched_parameters(const std::vector<std::string>& patterns, const LoweredNet& net,
                                         Statistics statistics);

// The states of the parameters and statistics that are frozen.
std::set<std::string> frozen_parameters(const ParameterMultipliers& multipliers, const LoweredNet& net);

// For each layer, the number of layers with weights on the longest way from its tops to the end of the net. A layer has
// weights if one of its learned blobs has two or more axes.
std::vector<int> weight_layers_after(const LoweredNet& net);

// Multiplies lr_mult and decay_mult of the net's parameters.
void apply_multipliers(const ParameterMultipliers& multipliers, LoweredNet* net);

}  // namespace trainer
