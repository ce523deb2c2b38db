// A device with the states and the arena that all nets on it share.
#pragma once

#include <memory>
#include <string>

#include "runtime/memory.h"
#include "runtime/open_device.h"
#include "runtime/program.h"

namespace trainer {

class GradientSums;
class Group;

struct DeviceSession {
  // Throws a device_error if the device does not compute with this precision.
  explicit DeviceSession(const DeviceSpec& spec, const DeviceOptions& options = {})
      : DeviceSession(open_device(spec, options), options.precision) {}
  explicit DeviceSession(std::unique_ptr<Device> opened, Precision precision = Precision::kFP32);
  // Programs compiled after this call are planned so that states, `buffers` and the values of a pass take at most
  // `total` bytes.
  void limit_memory(int64_t total, int64_t buffers);
  // The bytes that the limit leaves for the values of a pass; 0 for no limit. Throws a device_error if it leaves none.
  int64_t arena_limit() const;
  // Whether gradients are multiplied by the loss scale of the store (loss_scale.h).
  bool scales_loss() const { return precision == Precision::kFP16; }

  std::unique_ptr<Device> device;
  const Precision precision;
  StateStore store;
  Arena arena;
  int sessions = 0;              // net sessions opened so far
  int rank = 0, world = 1;       // among the devices that train together, those of other processes too
  int local = 0;                 // among those of this process
  Group* group = nullptr;        // of the processes that train together; nullptr for one process
  GradientSums* sums = nullptr;  // nullptr for one device

 private:
  int64_t memory_limit_ = 0, buffer_bytes_ = 0;
};

// Makes the device that of this process in a group with one device in each process; nullptr for one process.
void join(DeviceSession& device_session, Group* group);

// A note on what a program recomputes to save memory: "To fit ..."; "" for nothing.
std::string repeated_text(const Program& program);

}  // namespace trainer
