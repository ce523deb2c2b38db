// The device that a run asks for: parsed once, then passed on as a value.
#pragma once

#include <cstdint>
#include <string>

namespace trainer {

struct DeviceSpec {
  enum class Kind : uint8_t { kCpu, kCuda };
  Kind kind = Kind::kCpu;
  int ordinal = 0;           // kCuda: the number of the GPU, as the driver counts
  std::string architecture;  // kCuda: in place of the ordinal, a GPU that need not exist ("h200", "sm_90"); plan only
  bool plan_only = false;    // memory is addresses without storage (planning_device.h)

  static DeviceSpec cuda(int ordinal) { return {Kind::kCuda, ordinal, "", false}; }
  // The same device, to plan for.
  DeviceSpec planned() const;
  // "cpu", "cuda:0", "cuda:sm_90".
  std::string text() const;
};

// "cpu" or "cuda:N"; throws a config_error for any other text.
DeviceSpec parse_device(const std::string& text);

}  // namespace trainer
