// Opens lanes of the engine.
#pragma once

#include <memory>

#include "ranks/lane.h"

namespace trainer {

// A lane through Gloo, whose plugin is beside the program. Throws a device_error if the plugin is missing or damaged,
// and a LaneError if the processes cannot be connected.
std::unique_ptr<Lane> open_gloo_lane(const LaneRequest& request);

}  // namespace trainer
