// The steps of recurrences: one thread for each hidden unit of each item.
#include "device/cuda/kernels/recurrence.h"

#include "device/cuda/kernels/elements.h"
#include "device/cuda/kernels/launch.h"

namespace trainer::cuda {
namespace {

__device__ inline float logistic(float x) { return 1 / (1 + expf(-x)); }

__global__ void __launch_bounds__(kBlockThreads) tanh_step(const __grid_constant__ RecurrenceStep a) {
  for (int64_t i = first_element(); i < a.items * a.hidden; i += grid_stride())
    a.h[i] = tanhf(a.p[i] + a.cont[i / a.hidden] * a.product[i]);
}

__global__ void __launch_bounds__(kBlockThreads) lstm_step(const __grid_constant__ RecurrenceStep a) {
  for (int64_t e = first_element(); e < a.items * a.hidden; e += grid_stride()) {
    const int64_t item = e / a.hidden, first = item * 4 * a.hidden + e % a.hidden;
    const float cont = a.cont[item];
    const auto sum = [&a, first, cont](int gate) {
      const int64_t at = first + gate * a.hidden;
      return a.p[at] + cont * a.product[at];
    };
    const float i = logistic(sum(0)), f = cont * logistic(sum(1)), o = logistic(sum(2)), g = tanhf(sum(3));
    const float c = f * a.c_before[e] + i * g;
    a.gates[first] = i;
    a.gates[first + a.hidden] = f;
    a.gates[first + 2 * a.hidden] = o;
    a.gates[first + 3 * a.hidden] = g;
    a.c[e] = c;
    a.h[e] = o * tanhf(c);
  }
}

__device__ inline float gradient_of_h(const RecurrenceGradientStep& a, int64_t e) {
  return a.product == nullptr ? a.g[e] : a.g[e] + a.cont_after[e / a.hidden] * a.product[e];
}

__global__ void __launch_bounds__(kBlockThreads) tanh_gradient_step(const __grid_constant__ RecurrenceGradientStep a) {
  for (int64_t e = first_element(); e < a.items * a.hidden; e += grid_stride())
    a.dp[e] = gradient_of_h(a, e) * (1 - a.h[e] * a.h[e]);
}

__global__ void __launch_bounds__(kBlockThreads) lstm_gradient_step(const __grid_constant__ RecurrenceGradientStep a) {
  for (int64_t e = first_element(); e < a.items * a.hidden; e += grid_stride()) {
    const int64_t first = e / a.hidden * 4 * a.hidden + e % a.hidden;
    const float i = a.gates[first], f = a.gates[first + a.hidden], o = a.gates[first + 2 * a.hidden],
                g = a.gates[first + 3 * a.hidden];
    const float dh = gradient_of_h(a, e), squashed = tanhf(a.c[e]);
    const float dc = (a.product == nullptr ? 0 : a.dc[e]) + dh * o * (1 - squashed * squashed);
    a.dp[first] = dc * g * i * (1 - i);
    a.dp[first + a.hidden] = dc * a.c_before[e] * f * (1 - f);
    a.dp[first + 2 * a.hidden] = dh * squashed * o * (1 - o);
    a.dp[first + 3 * a.hidden] = dc * i * (1 - g * g);
    a.dc[e] = dc * f;
  }
}

}  // namespace

cudaError_t launch_tanh_step(const RecurrenceStep& a, cudaStream_t stream) {
  return launch_kernel(tanh_step, grid_of_step(a.items, a.hidden), a, stream);
}
cudaError_t launch_lstm_step(const RecurrenceStep& a, cudaStream_t stream) {
  return launch_kernel(lstm_step, grid_of_step(a.items, a.hidden), a, stream);
}
cudaError_t launch_tanh_gradient_step(const RecurrenceGradientStep& a, cudaStream_t stream) {
  return launch_kernel(tanh_gradient_step, grid_of_step(a.items, a.hidden), a, stream);
}
cudaError_t launch_lstm_gradient_step(const RecurrenceGradientStep& a, cudaStream_t stream) {
  return launch_kernel(lstm_gradient_step, grid_of_step(a.items, a.hidden), a, stream);
}

}  // namespace trainer::cuda
