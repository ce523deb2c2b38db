// An NVIDIA GPU as a device, and how the program finds this plugin's way to open one.
#pragma once

#include <memory>

#include "device/cuda/context.h"
#include "runtime/device.h"

namespace trainer::cuda {

class CudaDevice : public Device {
 public:
  // "0": the GPU of this number; "sm_90": one of an architecture that is only planned for. Throws a device_error
  // that says why it cannot be used.
  explicit CudaDevice(const std::string& which);
  ~CudaDevice() override;

  std::string name() const override;
  DeviceSpeed best_speed() override;
  std::string refuse_precision(DType precision) const override;
  KernelChoice choose(const OpInstance& instance) override;
  std::vector<std::string> generated_texts() const override;
  void* allocate(int64_t bytes) override;
  void release(void* memory, int64_t bytes) override;
  void copy_to_host(void* host, const void* device, int64_t bytes) override;
  void copy_from_host(void* device, const void* host, int64_t bytes) override;

 private:
  std::unique_ptr<Context> context_;
};

}  // namespace trainer::cuda
