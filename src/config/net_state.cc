// Evaluates include and exclude rules.
#include "config/net_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace trainer {
namespace {

bool has_stage(const caffe::NetState& state, const std::string& stage) {
  return std::find(state.stage().begin(), state.stage().end(), stage) != state.stage().end();
}

}  // namespace

bool meets(const caffe::NetState& state, const caffe::NetStateRule& rule, std::string* why_not) {
  auto unmet = [&](const std::string& reason) {
    if (why_not != nullptr) *why_not = reason;
    return false;
  };
  if (rule.has_phase() && rule.phase() != state.phase())
    return unmet(fmt::format("the phase is {}, not {}", Phase_Name(state.phase()), Phase_Name(rule.phase())));
  if (rule.has_min_level() && state.level() < rule.min_level())
    return unmet(fmt::format("the level is {}, below {}", state.level(), rule.min_level()));
  if (rule.has_max_level() && state.level() > rule.max_level())
    return unmet(fmt::format("the level is {}, above {}", state.level(), rule.max_level()));
  for (const std::string& stage : rule.stage()) {
    if (!has_stage(state, stage)) return unmet(fmt::format("stage \"{}\" is not active", stage));
  }
  for (const std::string& stage : rule.not_stage()) {
    if (has_stage(state, stage)) return unmet(fmt::format("stage \"{}\" is active", stage));
  }
  return true;
}

bool layer_is_included(const caffe::LayerParameter& layer, const caffe::NetState& state, std::string* why_not) {
  for (const caffe::NetStateRule& rule : layer.exclude()) {
    if (!meets(state, rule, nullptr)) continue;
    if (why_not != nullptr) *why_not = "an exclude rule is met";
    return false;
  }
  if (layer.include_size() == 0) return true;
  for (const caffe::NetStateRule& rule : layer.include()) {
    if (meets(state, rule, why_not)) return true;
  }
  return false;
}

}  // namespace trainer
