// The one argument of a map's kernels, a struct: its declaration in their text, and its bytes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "device/cuda/map_walk.h"

namespace trainer::cuda {

// `constants`: how many there are.
std::string arguments_text(const OpInstance& instance, const MapWalk& walk, size_t constants);

// Addresses, with which it begins, are zeros (see MapLaunch).
std::vector<std::byte> packed_arguments(const OpInstance& instance, const MapWalk& walk,
                                        const std::vector<float>& constants);

}  // namespace trainer::cuda
