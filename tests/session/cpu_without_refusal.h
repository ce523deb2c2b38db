// A CPU device for sessions that scale the loss as with --precision=fp16. For nets and updates too small to have
// float16 values, for which the CPU has no kernels.
#pragma once

#include <string>

#include "device/cpu/cpu_device.h"

namespace trainer {

class CpuWithoutRefusal : public cpu::CpuDevice {
 public:
  std::string refuse_precision(Precision) const override { return ""; }
};

}  // namespace trainer
