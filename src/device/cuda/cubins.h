// Compiles generated kernels with NVRTC.
#pragma once

#include <string>

namespace trainer::cuda {

// Compiles CUDA C for an architecture ("sm_90") to a cubin. If NVRTC is older than the architecture, the result is PTX
// for the newest older architecture that NVRTC supports; the driver compiles it. Several threads may compile at the
// same time. Throws a device_error with NVRTC's log.
std::string compile_source(const std::string& source, const std::string& architecture);

// compile_source() through the disk cache.
std::string compile_cached(const std::string& source, const std::string& architecture);

}  // namespace trainer::cuda
