// What choosing and planning kernels depends on: of the GPU at hand, or of one that is only planned for.
#pragma once

#include <cstdint>
#include <string>

namespace trainer::cuda {

struct DeviceProperties {
  std::string name;         // "NVIDIA H100 80GB HBM3"
  int major = 0, minor = 0; // compute capability
  int multiprocessors = 1;
  int64_t memory = 0;       // bytes
  int64_t l2_cache = 0;
  int64_t shared_memory = 0;  // that a block may have at most

  std::string architecture() const { return "sm_" + std::to_string(major * 10 + minor); }
  // The description that cuDNN plans by where there is no device. Its keys are not documented; cuDNN 9.19 names them in
  // its own messages.
  std::string cudnn_json() const;
};

// Of the CUDA device `ordinal`.
DeviceProperties properties_of(int ordinal);
// Those of a usual GPU of an architecture, "sm_90", for plans without a device. Throws a config_error for others than
// sm_75, sm_80, sm_89, sm_90, sm_100 and sm_120.
DeviceProperties typical_properties(const std::string& architecture);

}  // namespace trainer::cuda
