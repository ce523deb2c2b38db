// The tile interpreter of kMap with its instruction set and number of threads given. (Without them: those of
// the process, and one thread for small maps.)
//
// Guarantees: an output stored for every element may lie exactly in place of an operand of the same
// descriptor, since a tile's operands are read before they are overwritten. This holds where all full
// operands and outputs share one physical order, not for operands read across orders. Results depend on the
// number of threads only in the rounding of reductions, and are the same bits each time for one number of
// threads.
#pragma once

#include "device/cpu/isa/map_table.h"
#include "device/cpu/map_kernel.h"

namespace trainer::cpu {

std::unique_ptr<Kernel> create_map_tiles(const OpInstance& instance, const MapTable& table, int threads);

}  // namespace trainer::cpu
