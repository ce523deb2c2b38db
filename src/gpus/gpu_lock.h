// One lock a GPU for all users of a machine, so that runs started together take different ones.
//
// It is the lock (flock) of a file that has the GPU's UUID for its name, in /run/lock/trainer or, where that
// cannot be made, in /tmp/trainer-gpu-locks. The kernel ends it with the process that holds it, whatever
// becomes of that. What the file holds (process, user, command) serves messages only.
#pragma once

#include <string>

namespace trainer {

struct GpuLock {
  enum class State { kFree, kTaken, kHeld, kUnusable };
  State state = State::kFree;
  std::string path;     // of its file; "" where there is no folder for it
  std::string holder;   // kHeld: "pid 4242 (alice): trainer train --solver=..."
  std::string problem;  // kUnusable: why
};

// Takes the lock until this process ends: kTaken, or kHeld by another process, or kUnusable. To be called
// once a GPU.
GpuLock take_gpu_lock(const std::string& uuid);

// kFree, kHeld or kUnusable; makes no file.
GpuLock look_at_gpu_lock(const std::string& uuid);

}  // namespace trainer
