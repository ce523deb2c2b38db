// The report of a training whose loss is not finite.
#pragma once

#include "train/training_state.h"

namespace trainer {

// Throws an Error with ExitCode::kDiverged that names the first NaN or infinity: in the data, in a parameter or in the
// result of a layer.
[[noreturn]] void fail_diverged(const Rank& rank, int iteration, float rate);

}  // namespace trainer
