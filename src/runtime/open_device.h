// Opens devices.
#pragma once

#include <memory>
#include <string>

#include "runtime/device.h"
#include "runtime/device_spec.h"

namespace trainer {

// Throws a device_error that names the cause.
std::unique_ptr<Device> open_device(const DeviceSpec& spec, const DeviceOptions& options = {});

// Why this installation cannot compute on any GPU: the plugin or a library that it needs is missing; or "". Opens the
// libraries but no GPU.
std::string refuse_gpus();

}  // namespace trainer
