// The functions of maps, and how sums and maxima join: what generated texts call and the interpreter of maps
// too.
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

__device__ inline float negate(float a) { return -a; }
__device__ inline float abs(float a) { return fabsf(a); }
__device__ inline float sign(float a) { return a != a ? a : static_cast<float>((a > 0) - (a < 0)); }
__device__ inline float exp(float a) { return expf(a); }
__device__ inline float log(float a) { return logf(a); }
__device__ inline float sqrt(float a) { return sqrtf(a); }
__device__ inline float erf(float a) { return erff(a); }
__device__ inline float tanh(float a) { return tanhf(a); }
__device__ inline float sigmoid(float a) { return 1 / (1 + expf(-a)); }
__device__ inline float floor(float a) { return floorf(a); }
__device__ inline float softplus(float a) { return a != a ? a : fmaxf(a, 0) + log1pf(expf(-fabsf(a))); }
__device__ inline float relu(float a, float k) {
  if (k == 0) return a > 0 || a != a ? a : 0;
  return a > 0 ? a : k * a;
}

__device__ inline float add(float a, float b) { return a + b; }
__device__ inline float subtract(float a, float b) { return a - b; }
__device__ inline float multiply(float a, float b) { return a * b; }
__device__ inline float divide(float a, float b) { return a / b; }
__device__ inline float minimum(float a, float b) { return a != a || a < b ? a : b; }
__device__ inline float maximum(float a, float b) { return a != a || a > b ? a : b; }
__device__ inline float power(float a, float b) { return powf(a, b); }
__device__ inline float greater(float a, float b) { return a > b ? 1 : 0; }
__device__ inline float greater_equal(float a, float b) { return a >= b ? 1 : 0; }
__device__ inline float equal(float a, float b) { return a == b ? 1 : 0; }
__device__ inline float relu_gradient(float a, float b, float k) { return a > 0 ? b : k * b; }
__device__ inline float select(float a, float b, float c) { return a != 0 ? b : c; }

// power() for exponents that are mostly these. As std::pow: minus infinity gives infinity, and -0 is no
// different from 0.
__device__ inline float power_constant(float a, float k) {
  if (k == 2) return a * a;
  if (k == 3) return a * a * a;
  if (k == 1) return a;
  if (k == -1) return 1 / a;
  if (k == 0.5f) return a == -INFINITY ? INFINITY : sqrtf(a + 0.0f);
  if (k == -0.5f) return a == -INFINITY ? 0 : 1 / sqrtf(a + 0.0f);
  return power(a, k);
}

}  // namespace fn
}  // namespace trainer::cuda
