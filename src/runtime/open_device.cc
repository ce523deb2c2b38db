// The one place that knows the devices by name.
#include "base/error.h"
#include "device/cpu/cpu_device.h"
#include "runtime/device.h"

namespace trainer {

std::unique_ptr<Device> open_device(const std::string& name) {
  if (name == "cpu") return std::make_unique<cpu::CpuDevice>();
  throw device_error("no device \"{}\": this build has only \"cpu\". Run on the CPU: with --cpu and without --gpu, or with CPU in place of GPU", name);
}

}  // namespace trainer
