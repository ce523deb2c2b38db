// The argument of a map's kernels, a struct: its declaration in CUDA C, and its bytes.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "device/cuda/map_schedule.h"

namespace trainer::cuda {

// `constants`: the number of constants.
std::string arguments_declaration(const std::string& name, const OpInstance& instance, const MapSchedule& schedule,
                                  size_t constants);

// The struct begins with the addresses (see MapPart); here they are zero. Its size is a multiple of 8.
std::vector<std::byte> packed_arguments(const OpInstance& instance, const MapSchedule& schedule,
                                        const std::vector<float>& constants);

}  // namespace trainer::cuda
