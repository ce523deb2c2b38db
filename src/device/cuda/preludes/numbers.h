// Conversions between the element types of tensors and float.
//
// bf16 is rounded as in tensor/bf16.h. For other compilers than NVIDIA's, the emulator of the tests defines
// half_to_float and float_to_half.
#pragma once

namespace trainer::cuda {

#ifdef __CUDACC__
__device__ inline float half_to_float(unsigned short bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
  return x;
}
__device__ inline unsigned short float_to_half(float x) {
  unsigned short bits;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
  return bits;
}
#endif

struct Bf16 {
  unsigned short bits;
};
struct F16 {
  unsigned short bits;
};

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(Bf16 x) { return __uint_as_float(static_cast<unsigned>(x.bits) << 16); }
__device__ inline float to_float(F16 x) { return half_to_float(x.bits); }
__device__ inline float to_float(int x) { return static_cast<float>(x); }
__device__ inline float to_float(unsigned char x) { return static_cast<float>(x); }

__device__ inline void put(float* to, float x) { *to = x; }
__device__ inline void put(Bf16* to, float x) {
  const unsigned bits = __float_as_uint(x);
  to->bits = static_cast<unsigned short>(x != x ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
__device__ inline void put(F16* to, float x) { to->bits = float_to_half(x); }

}  // namespace trainer::cuda
