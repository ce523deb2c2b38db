// What the program finds in this plugin.
#include <cstring>

#include "base/error.h"
#include "device/cuda/cuda_device.h"
#include "device/cuda/libraries.h"

// Opens a device (see CudaDevice). `version` is the program's: both must be of one build, since they share
// classes.
extern "C" __attribute__((visibility("default"))) trainer::Device* trainer_open_cuda_device(
    const trainer::DeviceSpec* spec, const char* version, const trainer::DeviceOptions* options) {
  if (std::strcmp(version, TRAINER_VERSION) != 0)
    throw trainer::device_error(
        "libtrainer_cuda.so is of version {} and the program of {}: install both from one build", TRAINER_VERSION,
        version);
  return new trainer::cuda::CudaDevice(*spec, *options);
}

// Opens NVIDIA's libraries and no GPU; throws a device_error that names the one that is missing.
extern "C" __attribute__((visibility("default"))) void trainer_open_cuda_libraries() { trainer::cuda::cudnn(); }
