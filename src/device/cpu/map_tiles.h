// The tile interpreter of kMap, with a given instruction set and number of threads. The other function uses those of
// the process, and one thread for small maps.
//
// Guarantees: an output that is stored for every element may overwrite an operand with the same descriptor, because the
// operands of a tile are read before they are overwritten. This requires that all operands and outputs without
// broadcast have the same physical order. The number of threads changes only the rounding of reductions. For a given
// number of threads the bits of the result are always the same.
#pragma once

#include "device/cpu/isa/map_table.h"
#include "device/cpu/map_kernel.h"

namespace trainer::cpu {

std::unique_ptr<Kernel> create_map_tiles(const OpInstance& instance, const MapTable& table, int threads);

}  // namespace trainer::cpu
