// Pooling by instruction set. Tensors are dense [N, spatial..., C]. A row-major tensor [N, C, spatial...] is the same
// as N * C images with one channel.
#pragma once

#include "device/cpu/isa/by_type.h"
#include "runtime/windows.h"

namespace trainer::cpu {

// Each function except max_gradient computes the pixels [begin, end) of its result, counted over [N, spatial...]. T:
// float or Bf16.
template <typename T>
struct PoolTable {
  void (*max_u8)(const PoolGeometry& g, const T* x, T* y, uint8_t* winner, int64_t begin, int64_t end);
  void (*max_s32)(const PoolGeometry& g, const T* x, T* y, int32_t* winner, int64_t begin, int64_t end);
  // Computes channels [begin, end) of image n.
  void (*max_gradient_u8)(const PoolGeometry& g, const T* gradient, const uint8_t* winner, T* x, int64_t n,
                          int64_t begin, int64_t end);
  void (*max_gradient_s32)(const PoolGeometry& g, const T* gradient, const int32_t* winner, T* x, int64_t n,
                           int64_t begin, int64_t end);
  void (*sum)(const PoolGeometry& g, const T* x, T* y, int64_t begin, int64_t end);
  void (*sum_gradient)(const PoolGeometry& g, const T* gradient, T* x, int64_t begin, int64_t end);
};

namespace isa_v2 {
extern const ByType<PoolTable> kPoolTables;
}
namespace isa_v3 {
extern const ByType<PoolTable> kPoolTables;
}
namespace isa_v4 {
extern const ByType<PoolTable> kPoolTables;
}

}  // namespace trainer::cpu
