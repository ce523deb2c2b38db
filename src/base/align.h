// Sizes rounded up to an alignment.
#pragma once

#include <cstdint>

namespace trainer {

// The smallest multiple of `alignment` that is at least `size`.
constexpr int64_t align_up(int64_t size, int64_t alignment) { return (size + alignment - 1) / alignment * alignment; }

}  // namespace trainer
