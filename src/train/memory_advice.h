// What a training that does not fit into memory needs, where it goes, and what would fit.
#pragma once

#include <functional>
#include <string>

#include "train/training.h"

namespace trainer {

// The text of the refusal, found by planning the training again, whole and with smaller batches. `configure` gives the
// training's files anew.
std::string memory_advice(const std::function<TrainingFiles()>& configure, const TrainingOptions& options,
                          const OutOfMemory& error);

}  // namespace trainer
