// The properties of a GPU that the choice of kernels depends on, for a real GPU or one that is only planned for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/device.h"

namespace trainer::cuda {

struct DeviceProperties {
  std::string name;          // "NVIDIA H100 80GB HBM3"
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 1;
  int64_t memory = 0;  // bytes
  int64_t l2_cache = 0;
  int64_t shared_memory = 0;  // maximum per block

  std::string architecture() const { return "sm_" + std::to_string(major * 10 + minor); }
  // The device description from which cuDNN plans without a device. Its keys are not documented; error messages of
  // cuDNN 9.19 name them.
  std::string cudnn_json() const;
};

// The properties of a GPU to plan for: by its name ("h200"), or the first GPU of an architecture ("sm_90"); case is
// ignored. Throws a config_error that lists the valid names.
DeviceProperties typical_properties(const std::string& which);
// The data sheet of a GPU with its peak rate in this precision; none for unknown GPUs and for other variants of a known
// GPU.
std::optional<DataSheet> data_sheet_of(const DeviceProperties& properties, Precision precision);

}  // namespace trainer::cuda
