// Large buffers get huge pages, whose addresses the processor finds faster.
#include "base/host_memory.h"

#include <sys/mman.h>

#include "base/align.h"

namespace trainer {

void* HostMemory::allocate(int64_t bytes) {
  constexpr int64_t kLine = 64, kHugePage = int64_t{2} << 20, kLarge = 4 * kHugePage;
  const int64_t alignment = bytes < kLarge ? kLine : kHugePage;
  const auto size = static_cast<size_t>(align_up(bytes, alignment));
  void* memory = std::aligned_alloc(static_cast<size_t>(alignment), size);
  if (memory != nullptr && alignment == kHugePage) madvise(memory, size, MADV_HUGEPAGE);
  return memory;
}

}  // namespace trainer
