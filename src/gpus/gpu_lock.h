// A lock for each GPU, shared by all users of a machine, so that runs started at the same time take different GPUs.
//
// It is an flock on a file named after the GPU's UUID, in /run/lock/trainer or, if that folder cannot be made, in
// /tmp/trainer-gpu-locks. The kernel releases it when the process that holds it ends for any reason. The content of the
// file (process, user, command) is for messages only.
#pragma once

#include <memory>
#include <string>

namespace trainer {

// Holds the lock of a GPU and releases it on destruction.
class GpuLease {
 public:
  explicit GpuLease(int file) : file_(file) {}
  ~GpuLease();
  GpuLease(const GpuLease&) = delete;
  GpuLease& operator=(const GpuLease&) = delete;

 private:
  const int file_;
};

struct GpuLock {
  enum class State {
    kFree,
    kTaken,     // by this call
    kShared,    // this process held it before the call
    kHeld,      // by another process
    kUnusable,  // the file cannot be locked
  };
  State state = State::kFree;
  std::string path;                       // of its file; "" if there is no folder for it
  std::string holder;                     // kHeld: "pid 4242 (alice): trainer train --solver=..."
  std::string problem;                    // kUnusable: the reason
  std::shared_ptr<const GpuLease> lease;  // kTaken, kShared
};

// Tries to take the lock. All leases that a process has on one GPU share one lock: the first call takes it, and the
// destruction of the last lease releases it. Any thread may call.
GpuLock take_gpu_lock(const std::string& uuid);

// Looks at the lock without making a file: kFree, kHeld (also by this process) or kUnusable.
GpuLock look_at_gpu_lock(const std::string& uuid);

}  // namespace trainer
