// The device of a process, its states and its arena.
#pragma once

#include <memory>
#include <string>

#include "runtime/memory.h"
#include "runtime/program.h"

namespace trainer {

class GradientSums;

// What all nets on a device share: the device, the named states, the arena of a pass.
struct DeviceSession {
  // Throws a device_error where the device does not compute with this precision.
  explicit DeviceSession(const std::string& device_name, const DeviceOptions& options = {})
      : DeviceSession(open_device(device_name, options), options.precision) {}
  explicit DeviceSession(std::unique_ptr<Device> opened, Precision precision = Precision::kFP32);
  // From here on programs are planned so that states, `buffers` and the values of a pass take at most `total`
  // bytes.
  void limit_memory(int64_t total, int64_t buffers);
  // What that leaves for the values of a pass beside the states so far; 0 where there is no limit. Throws a
  // device_error where it leaves nothing.
  int64_t arena_limit() const;
  // Whether gradients are made, and accumulate, times the loss scale of the store (loss_scale.h).
  bool scales_loss() const { return precision == Precision::kFP16; }

  std::unique_ptr<Device> device;
  const Precision precision;
  StateStore store;
  Arena arena;
  int sessions = 0;              // so far: each has carried states of its own
  int rank = 0, world = 1;       // of the devices that train together
  GradientSums* sums = nullptr;  // where there are several

 private:
  int64_t memory_limit_ = 0, buffer_bytes_ = 0;
};

// What a program computes again to need less memory, as a note: "To fit ..."; "" where nothing is.
std::string repeated_text(const Program& program);

}  // namespace trainer
