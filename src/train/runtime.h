// The device of a process, its states and its arena.
#pragma once

#include <memory>
#include <string>

#include "runtime/memory.h"
#include "runtime/program.h"

namespace trainer {

// What every net of a process shares: the device, the named states, the arena of a pass.
struct Runtime {
  // Throws a device_error where the device does not compute with `precision`.
  explicit Runtime(const std::string& device_name, DType precision = DType::kF32) : Runtime(open_device(device_name), precision) {}
  explicit Runtime(std::unique_ptr<Device> opened, DType precision = DType::kF32);
  // Leaves the values of a pass what `total` bytes leave beside the states so far and `buffers`. Throws a device_error where
  // that is nothing.
  void limit_memory(int64_t total, int64_t buffers);

  std::unique_ptr<Device> device;
  const DType precision;  // of convolutions and large matrix products
  StateStore store;
  Arena arena;
  int64_t arena_limit = 0;  // bytes for the values of a pass; 0: as many as they take
  int sessions = 0;  // so far: each has carried states of its own
};

// What a program computes again to need less memory, as a note: "To fit ..."; "" where nothing is.
std::string repeated_text(const Program& program);

}  // namespace trainer
