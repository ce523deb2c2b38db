// What the cores reach at best, measured in about a tenth of a second: what steps are compared with.
#pragma once

#include "runtime/device.h"

namespace trainer::cpu {

DeviceSpeed measure_best_speed();

}  // namespace trainer::cpu
