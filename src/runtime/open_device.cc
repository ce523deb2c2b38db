// Opens devices; the only file that includes a device.
#include <dlfcn.h>
#include <fmt/ranges.h>

#include "base/error.h"
#include "base/plugin_places.h"
#include "device/cpu/cpu_device.h"
#include "runtime/open_device.h"
#include "runtime/planning_device.h"

namespace trainer {
namespace {

constexpr const char* kPlugin = "libtrainer_cuda.so";
using OpenCudaDevice = Device* (*)(const DeviceSpec* spec, const char* version, const DeviceOptions* options);
using OpenCudaLibraries = void (*)();

struct Plugin {
  OpenCudaDevice open_device = nullptr;
  OpenCudaLibraries open_libraries = nullptr;
};

// Never closes the plugin: the driver keeps threads.
Plugin open_plugin() {
  const std::string place = find_plugin(kPlugin);
  if (place.empty())
    throw device_error(
        "this installation has no CUDA device: there is no {}. Run on the CPU: with --cpu and without --gpu, or with "
        "CPU in place of GPU",
        fmt::join(plugin_places(kPlugin), " and no "));
  void* library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = dlerror();
    throw device_error("the CUDA device cannot be loaded: {}. Run on the CPU with --cpu",
                       reason == nullptr ? place : reason);
  }
  const Plugin plugin = {reinterpret_cast<OpenCudaDevice>(dlsym(library, "trainer_open_cuda_device")),
                         reinterpret_cast<OpenCudaLibraries>(dlsym(library, "trainer_open_cuda_libraries"))};
  if (plugin.open_device == nullptr || plugin.open_libraries == nullptr)
    throw device_error("{} is not the CUDA device of this program", place);
  return plugin;
}

const Plugin& plugin() {
  static const Plugin opened = open_plugin();
  return opened;
}

}  // namespace

std::unique_ptr<Device> open_device(const DeviceSpec& spec, const DeviceOptions& options) {
  TRAINER_ASSERT(spec.architecture.empty() || spec.plan_only);
  std::unique_ptr<Device> device;
  if (spec.kind == DeviceSpec::Kind::kCpu) {
    device = std::make_unique<cpu::CpuDevice>();
  } else {
    device.reset(plugin().open_device(&spec, TRAINER_VERSION, &options));
  }
  return spec.plan_only ? planning_device(std::move(device)) : std::move(device);
}

std::string refuse_gpus() {
  try {
    plugin().open_libraries();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

}  // namespace trainer
