// The steps of kRecurrence and kRecurrenceGradient. The matrix products between them are separate launches (matmul.h).
//
// With p [T,N,GH], w [GH,H], cont [T,N], h [T,N,H] (G is 1 for kTanh, 4 for kLstm), and index t for the part of step t:
//
//   kRecurrence:          for t = 0 .. T-1:
//                           product [N,GH] = h_{t-1} * w^T   (at t = 0: the op's h_0; matmul with transpose_b)
//                           launch_tanh_step or launch_lstm_step
//   kRecurrenceGradient:  for t = T-1 .. 0:
//                           product [N,H] = dp_{t+1} * w     (not at t = T-1, where the step gets null)
//                           launch_tanh_gradient_step or launch_lstm_gradient_step
//
// `product` is scratch memory: the matmul of each step overwrites it. All tensors are dense row-major floats.
#pragma once

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

// s = p_t + cont_t * product. kTanh: h = tanh(s). kLstm: gates i, f, o = sigmoid(s), f is multiplied by cont,
// g = tanh(s), c_t = f * c_{t-1} + i * g, h = o * tanh(c).
struct RecurrenceStep {
  int64_t items = 0, hidden = 0;   // N, H
  const float* p = nullptr;        // [N,GH], of step t
  const float* product = nullptr;  // [N,GH]
  const float* cont = nullptr;     // [N], of step t
  float* h = nullptr;              // [N,H], of step t
  // kLstm only:
  const float* c_before = nullptr;  // [N,H], of step t-1; c_0 at t = 0
  float* c = nullptr;               // [N,H], of step t
  float* gates = nullptr;           // [N,4H], of step t
};

// dh = g_t + cont_{t+1} * product. kTanh: dp = dh * (1 - h^2). kLstm: through the gates and c, by the formulas of
// lstm_gradient_step.
struct RecurrenceGradientStep {
  int64_t items = 0, hidden = 0;      // N, H
  const float* g = nullptr;           // [N,H], of step t
  const float* product = nullptr;     // [N,H]; null at t = T-1: zeros
  const float* cont_after = nullptr;  // [N], of step t+1; not read if product is null
  float* dp = nullptr;                // [N,GH], of step t
  // kTanh only:
  const float* h = nullptr;  // [N,H], of step t
  // kLstm only:
  const float* c_before = nullptr;  // [N,H], of step t-1; c_0 at t = 0
  const float* c = nullptr;         // [N,H], of step t
  const float* gates = nullptr;     // [N,4H], of step t
  float* dc = nullptr;              // [N,H]: scratch memory that carries dc from step to step; need not be cleared
};

inline Grid grid_of_step(int64_t items, int64_t hidden) { return grid_of_elements(items * hidden); }

cudaError_t launch_tanh_step(const RecurrenceStep& step, cudaStream_t stream);
cudaError_t launch_lstm_step(const RecurrenceStep& step, cudaStream_t stream);
cudaError_t launch_tanh_gradient_step(const RecurrenceGradientStep& step, cudaStream_t stream);
cudaError_t launch_lstm_gradient_step(const RecurrenceGradientStep& step, cudaStream_t stream);

}  // namespace trainer::cuda
