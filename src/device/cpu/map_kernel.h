// The CPU's implementations of kMap: the tile interpreter and the reference.
#pragma once

#include <memory>
#include <string>

#include "runtime/device.h"

namespace trainer::cpu {

std::string refuse_map_tiles(const OpInstance& instance);
std::unique_ptr<Kernel> create_map_tiles(const OpInstance& instance);
std::unique_ptr<Kernel> create_map_reference(const OpInstance& instance);

}  // namespace trainer::cpu
