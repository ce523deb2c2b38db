// What choosing and planning kernels depends on: of the GPU at hand, or of one that is only planned for.
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
  int64_t shared_memory = 0;  // that a block may have at most

  std::string architecture() const { return "sm_" + std::to_string(major * 10 + minor); }
  // The description that cuDNN plans by where there is no device. Its keys are not documented; cuDNN 9.19 names them in
  // its own messages.
  std::string cudnn_json() const;
};

// Of a GPU to plan for without a device: by its name ("h200") or the first one of an architecture ("sm_90"), in small
// letters or capitals. Throws a config_error that lists them for anything else.
DeviceProperties typical_properties(const std::string& which);
// Of a GPU among those, with the peak of this precision; not of another variant with the same name.
std::optional<DataSheet> data_sheet_of(const DeviceProperties& properties, Precision precision);

}  // namespace trainer::cuda
