// A device for plans that are looked at and never run.
#pragma once

#include <memory>

#include "runtime/device.h"

namespace trainer {

// Chooses the kernels of `device`, but its memory is addresses only: nets larger than the machine can be
// planned, and what is written there goes nowhere. Reading values back, or running a program, is a bug.
std::unique_ptr<Device> planning_device(std::unique_ptr<Device> device);

}  // namespace trainer
