// Which GPUs a run takes: the values of --gpu, and the choice of a free GPU.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gpus/gpu_lock.h"

namespace trainer {

struct GpuRequest {
  enum class Kind { kAuto, kAll, kOwn, kNumbers };
  Kind kind = Kind::kNumbers;
  std::vector<int> numbers;
  // The number of this process among those of its run on this host, and their number: kAll means an equal part of the
  // GPUs, kOwn the GPU with the number of the process. If the driver shows only one GPU, it is that of the process:
  // launchers can show each process its own.
  int process = 0, processes = 1;
};

// "auto", "all", "0", "0,1"; throws a config_error for any other text and for a number that is given twice.
GpuRequest parse_gpu_request(const std::string& text);

// The numbers of the request, of `count` GPUs; not for kAuto. Throws a device_error for a number that no GPU has, and
// if processes cannot have equal parts.
std::vector<int> named_gpus(const GpuRequest& request, size_t count);

struct TakenGpu {
  int id = 0;
  std::string uuid;
  std::string text;                       // "GPU 1 (NVIDIA H100), free 79.1 GiB, also used by pid 77 (bob, ...)"
  std::string beside;                     // other processes that use it; or ""
  std::string warning;                    // another run holds its lock, or it cannot be locked; or ""
  std::shared_ptr<const GpuLease> lease;  // none if there is a warning
};

// Takes the locks of the requested GPUs. Opens no context on a GPU.
//
// kAuto takes one GPU whose lock is free and whose memory is at least half free: first one that no process uses, then
// the one with the most free memory. A GPU that is named is taken even if another run holds its lock; one that this
// process holds is shared without a warning. Throws a device_error with a remedy if there is no driver, a GPU cannot be
// used, or none is free.
std::vector<TakenGpu> take_gpus(const GpuRequest& request);

// Throws as take_gpus does if a requested GPU cannot be used; takes no lock. Not for kAuto.
void check_gpus(const GpuRequest& request);

}  // namespace trainer
