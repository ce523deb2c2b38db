// Where buffers that the host fills come from: plain memory, or that of a device which copies from its own memory
// faster.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace trainer {

// Used by several threads at once.
class HostMemory {
 public:
  virtual ~HostMemory() = default;
  // 64-byte aligned, not cleared; nullptr where there is none.
  virtual void* allocate(int64_t bytes) { return std::aligned_alloc(64, static_cast<size_t>((bytes + 63) / 64 * 64)); }
  virtual void release(void* memory) { std::free(memory); }

  static HostMemory& plain() {
    static HostMemory memory;
    return memory;
  }
};

}  // namespace trainer
