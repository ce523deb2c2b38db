// Allocator for host batch buffers: plain memory, or page-locked memory for a GPU.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace trainer {

// Thread-safe.
class HostMemory {
 public:
  virtual ~HostMemory() = default;
  // 64-byte aligned, not cleared; nullptr if no memory is left.
  virtual void* allocate(int64_t bytes);
  virtual void release(void* memory) { std::free(memory); }

  static HostMemory& plain() {
    static HostMemory memory;
    return memory;
  }
};

}  // namespace trainer
