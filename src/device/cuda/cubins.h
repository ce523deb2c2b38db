// Texts of kernels as code, by NVRTC.
#pragma once

#include <string>

namespace trainer::cuda {

// The code of a text for an architecture ("sm_90"): a cubin, or where NVRTC does not know the architecture, PTX for the
// newest before it that NVRTC knows, from which the driver makes one. Several threads may compile at once. Throws a
// device_error with NVRTC's log.
std::string compile_text(const std::string& text, const std::string& architecture);

// The same, kept for later runs (disk_cache.h).
std::string cached_code(const std::string& text, const std::string& architecture);

}  // namespace trainer::cuda
