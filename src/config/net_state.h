// Which layers a net has in a given state: the include and exclude rules.
#pragma once

#include <string>

#include "trainer.pb.h"

namespace trainer {

// Whether the state meets the rule: every condition given holds. `why_not`, if not null, receives the reason.
bool meets(const caffe::NetState& state, const caffe::NetStateRule& rule, std::string* why_not);

// No rules: kept. exclude: dropped where any rule is met. include: kept where any rule is met.
bool layer_is_included(const caffe::LayerParameter& layer, const caffe::NetState& state, std::string* why_not);

}  // namespace trainer
