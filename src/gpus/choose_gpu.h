// Which GPUs a run takes: what --gpu may say, and how one is chosen among those that nobody uses.
#pragma once

#include <string>
#include <vector>

namespace trainer {

struct GpuRequest {
  enum class Kind { kAuto, kAll, kNumbers };
  Kind kind = Kind::kNumbers;
  std::vector<int> numbers;
};

// "auto", "all", "0", "0,1"; throws a config_error for anything else and for a number that is there twice.
GpuRequest parse_gpu_request(const std::string& text);

// The numbers that are named, all of `count` for kAll; not for kAuto. Throws a device_error for one that is
// not there.
std::vector<int> named_gpus(const GpuRequest& request, size_t count);

struct TakenGpu {
  int id = 0;
  std::string text;     // "GPU 1 (NVIDIA H100), free 79.1 GiB, beside pid 77 (bob, python3), 4.0 GiB"
  std::string beside;   // the processes of others on it; or ""
  std::string warning;  // another run holds its lock, or it cannot be locked; or ""
};

// Takes the locks of the GPUs asked for until this process ends; no context is opened on any GPU.
//
// kAuto takes one: of the GPUs whose lock is free and of whose memory half is free, one on which nobody else
// computes comes first, then the one with the most free memory. A GPU that is named is taken even where
// another run holds its lock. Throws a device_error with what could be done where there is no driver, a GPU
// cannot be used, or none is free.
std::vector<TakenGpu> take_gpus(const GpuRequest& request);

// Throws as take_gpus does where a GPU that is named, or one of all, cannot be used; takes no lock.
void check_gpus(const GpuRequest& request);

}  // namespace trainer
