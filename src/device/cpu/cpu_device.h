// The processor as a device, with memory of the host and the kernels of implementations.h.
#pragma once

#include "runtime/device.h"

namespace trainer::cpu {

class CpuDevice : public Device {
 public:
  // Sets the threads of OpenMP to flush subnormal numbers to zero.
  CpuDevice();

  std::string name() const override { return "cpu"; }
  DeviceSpeed best_speed() override;
  std::string refuse_precision(Precision precision) const override;
  KernelChoice choose(const OpInstance& instance) override;
  int64_t free_memory() override;
  void* allocate(int64_t bytes) override;
  void release(void* memory, int64_t bytes) override;
  void copy_to_host(void* host, const void* device, int64_t bytes) override;
  void copy_from_host(void* device, const void* host, int64_t bytes) override;

 private:
  bool reference_only_;  // TRAINER_IMPL=reference
};

}  // namespace trainer::cpu
