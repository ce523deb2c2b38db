// Small maps as arguments of the interpreter (kernels/interpreter.h).
//
// Maps of at most InterpretedMap::kMostElements elements are interpreted, all others compiled: nets have more
// small maps than large ones, of a different formula each, and compiling one takes longer than running it a
// thousand times.
#pragma once

#include <string>
#include <vector>

#include "device/cuda/kernel_arguments.h"
#include "device/cuda/kernels/interpreter.h"
#include "device/cuda/map_walk.h"

namespace trainer::cuda {

// Why a map has to be compiled, or "".
std::string refuse_interpreted_map(const OpInstance& instance);

// A walk for each launch.
std::vector<MapWalk> interpreted_walks(const OpInstance& instance);

// The launches that make a map which is not refused, in sequence.
std::vector<InterpretedMap> interpreted_map(const OpInstance& instance, const Addresses& at, const uint64_t* pass);

}  // namespace trainer::cuda
