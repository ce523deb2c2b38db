// The reductions of maps, and a function for common powers, for generated maps and the interpreter.
#pragma once

#ifdef __CUDACC_RTC__
#define INFINITY __int_as_float(0x7f800000)
#endif

namespace trainer::cuda {

struct Sum {
  static __device__ float start() { return 0; }
  template <typename T>
  static __device__ T join(T a, T b) {
    return a + b;
  }
};
struct Max {
  static __device__ float start() { return -INFINITY; }
  template <typename T>
  static __device__ T join(T a, T b) {
    return a != a || a > b ? a : b;
  }
};

namespace fn {

// power_constant() with fast paths for common exponents. As with std::pow, the square root of minus infinity is
// infinity, and -0 counts as 0.
__device__ inline float common_power(float a, float k) {
  if (k == 2) return a * a;
  if (k == 3) return a * a * a;
  if (k == 1) return a;
  if (k == -1) return 1 / a;
  if (k == 0.5f) return a == -INFINITY ? INFINITY : sqrtf(a + 0.0f);
  if (k == -0.5f) return a == -INFINITY ? 0 : 1 / sqrtf(a + 0.0f);
  return powf(a, k);
}

}  // namespace fn
}  // namespace trainer::cuda
