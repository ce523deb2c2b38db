// Advice for a training that does not fit into memory: what it needs and what would fit.
#pragma once

#include <functional>
#include <string>

#include "train/training.h"

namespace trainer {

// The text of the error. Plans the training again, whole and with smaller batches; `configure` reads its files again.
std::string memory_advice(const std::function<TrainingFiles()>& configure, const TrainingOptions& options,
                          const OutOfMemory& error);

}  // namespace trainer
