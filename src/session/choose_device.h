// Chooses the devices of a run.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gpus/gpu_lock.h"
#include "ranks/group.h"
#include "runtime/device.h"
#include "runtime/device_spec.h"
#include "trainer.pb.h"

namespace trainer {

struct ChosenDevice {
  DeviceSpec spec;
  std::shared_ptr<const GpuLease> lease;  // of a GPU; destroyed after the device
  std::string uuid;                       // of a GPU
  std::string beside;                     // other processes that use the GPU; or ""
  std::string use;                        // for the log: "Use CPU.", "Use GPU 0 (NVIDIA H100), free 79.1 GiB"
};

struct DeviceRequest {
  std::optional<std::string> gpu;  // --gpu
  bool cpu = false;                // --cpu
  // The number of this process among those of its run on this host, and their number. They divide the GPUs: with
  // --gpu=all evenly, and without --gpu each takes the GPU with its number if the solver requests one.
  int local_rank = 0, local_size = 1;

  // "" means no request, "cpu" is --cpu, any other text is the value of --gpu.
  static DeviceRequest of(const std::string& text);
};

// The CPU, or the GPUs of the request; `solver` may request one by an explicit solver_mode. Locks each GPU; logs a
// warning if another run holds the lock.
std::vector<ChosenDevice> choose_devices(const DeviceRequest& request, const caffe::SolverParameter& solver);
// As choose_devices, but without a solver_mode: the CPU, or the one GPU of the request; several are a config_error.
ChosenDevice choose_device(const DeviceRequest& request);
// Returns the number of devices of all processes. Throws an error that names two of them, on all, if they have
// different kinds of devices, or share a GPU.
int count_devices(Group& group, const std::vector<ChosenDevice>& devices);
ChosenDevice cpu_device();
ChosenDevice gpu_device(int number);

// Throws a config_error for an unknown precision. The device writes its lines for the user to the log.
DeviceOptions device_options(const std::string& precision, bool deterministic);
// Bytes of "800M" or "1.5G"; throws a config_error for any other text.
int64_t parse_memory(const std::string& text);

}  // namespace trainer
