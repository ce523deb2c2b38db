// The names of states in a StateStore.
//
// The state of a parameter is named "LAYER/BLOB" after the layer that owns it (lowering/parameter_table.cc). All other
// names come from the functions and constants below.
#pragma once

#include <fmt/format.h>

#include <string>

#include "tensor/shape.h"

namespace trainer {

// Groups: the trained parameters as one flat state, and their gradients, history and average beside it.
inline constexpr const char* kParameterGroup = "parameters";
inline constexpr const char* kGradientGroup = "gradients";
inline constexpr const char* kAverageGroup = "average";
inline std::string history_group(int index) { return fmt::format("history{}", index); }

// Members of the groups, by the state of their parameter.
inline std::string gradient_state(const std::string& parameter) {
  return fmt::format("{}/{}", kGradientGroup, parameter);
}
inline std::string average_state(const std::string& parameter) {
  return fmt::format("{}/{}", kAverageGroup, parameter);
}
inline std::string history_state(int index, const std::string& parameter) {
  return fmt::format("{}/{}", history_group(index), parameter);
}

// States that a net carries from pass to pass: one for each session of the store and each shape.
inline constexpr const char* kCarriedPrefix = "carried/";
inline std::string carried_state(int session, const std::string& name, const Shape& shape) {
  return fmt::format("{}{}/{}/{}", kCarriedPrefix, session, name, shape.text());
}
inline bool is_carried(const std::string& state) { return state.starts_with(kCarriedPrefix); }

// The loss of the last pass with gradients; not finite if its labels are bad. An update that is queued before the host
// has read the loss reads it. Stores without such an update have no such state.
inline constexpr const char* kPassLoss = "pass_loss";

// Scalars of loss scaling (loss_scale.h).
inline constexpr const char* kLossScale = "loss_scale";
inline constexpr const char* kGoodUpdates = "loss_scale/good_updates";        // in a row, at this scale
inline constexpr const char* kSkippedUpdates = "loss_scale/skipped_updates";  // since the process began

}  // namespace trainer
