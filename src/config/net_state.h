// Selects the layers of a net for a state, by include and exclude rules.
#pragma once

#include <string>

#include "trainer.pb.h"

namespace trainer {

// True if the state meets every condition of the rule. If `why_not` is not null, it receives the reason.
bool meets(const caffe::NetState& state, const caffe::NetStateRule& rule, std::string* why_not);

// Without rules a layer is included. It is excluded if any exclude rule is met; with include rules it is included if
// any of them is met.
bool layer_is_included(const caffe::LayerParameter& layer, const caffe::NetState& state, std::string* why_not);

}  // namespace trainer
