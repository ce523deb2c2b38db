// A device for plans that do not run.
#pragma once

#include <memory>

#include "runtime/device.h"

namespace trainer {

// Chooses the kernels of `device`, but allocates only addresses, so that nets larger than the machine can be planned.
// Discards writes. Reading values or running a program is a bug.
std::unique_ptr<Device> planning_device(std::unique_ptr<Device> device);

}  // namespace trainer
