// The hard sigmoid, for HardSigmoid and HardSwish.
#pragma once

#include "ops/math.h"

namespace trainer {

// min(max(0, x + 3), 6) / 6 (Howard et al., "Searching for MobileNetV3", 2019).
inline Value hard_sigmoid(Value x) { return minimum(relu(x + 3.0f), 6.0f) * (1 / 6.0f); }

}  // namespace trainer
