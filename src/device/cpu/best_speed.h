// Measures the peak rates of the cores in about a tenth of a second. `trainer time` compares steps with them.
#pragma once

#include "runtime/device.h"

namespace trainer::cpu {

DeviceSpeed measure_best_speed();

}  // namespace trainer::cpu
