// Texts of kernels, compiled by NVRTC and kept on disk for later runs.
#pragma once

#include <string>
#include <vector>

namespace trainer::cuda {

// The code of a text for an architecture ("sm_90"): a cubin, or where NVRTC does not know the architecture, PTX for the
// newest before it that NVRTC knows, from which the driver makes one. Several threads may compile at once. Throws a
// device_error with NVRTC's log.
std::vector<char> compile_text(const std::string& text, const std::string& architecture);

// The same from the cache folder where it holds this text, else compiled and put there. The folder is
// $XDG_CACHE_HOME/trainer/cuda or ~/.cache/trainer/cuda; one that cannot be written costs compiling again.
std::vector<char> cached_cubin(const std::string& text, const std::string& architecture);

}  // namespace trainer::cuda
