// The entry points of the plugin.
#include <cstring>

#include "base/error.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/libraries.h"

// Opens a device (see CudaDevice). `version` is the program's: both must be from one build, because they share classes.
extern "C" __attribute__((visibility("default"))) trainer::Device* trainer_open_cuda_device(
    const trainer::DeviceSpec* spec, const char* version, const trainer::DeviceOptions* options) {
  if (std::strcmp(version, TRAINER_VERSION) != 0)
    throw trainer::device_error("libtrainer_cuda.so has version {} and the program has {}: install both from one build",
                                TRAINER_VERSION, version);
  return new trainer::cuda::CudaDevice(*spec, *options);
}

// Opens NVIDIA's libraries, but no GPU. Throws a device_error that names a missing library.
extern "C" __attribute__((visibility("default"))) void trainer_open_cuda_libraries() { trainer::cuda::cudnn(); }
