// Arguments of the steps of kRecurrence and kRecurrenceGradient. The matrix products between them are launches of their
// own (matmul.h, or cuBLASLt).
//
// With p [T,N,GH], w [GH,H], cont [T,N], h [T,N,H] (G is 1 of kTanh, 4 of kLstm), and index t for a step's part:
//
//   kRecurrence:          for t = 0 .. T-1:
//                           product [N,GH] = h_{t-1} * w^T   (h_0 of the op at t = 0; matmul with transpose_b)
//                           launch_tanh_step or launch_lstm_step
//   kRecurrenceGradient:  for t = T-1 .. 0:
//                           product [N,H] = dp_{t+1} * w     (not at t = T-1, where the step takes null)
//                           launch_tanh_gradient_step or launch_lstm_gradient_step
//
// `product` is scratch, overwritten by each step's matmul. All tensors are dense row-major floats.
#pragma once

#include "device/cuda/kernels/arguments.h"

namespace trainer::cuda {

// s = p_t + cont_t * product; kTanh: h = tanh(s); kLstm: gates i, f, o = sigmoid(s), f times cont, g = tanh(s),
// c_t = f * c_{t-1} + i * g, h = o * tanh(c).
struct RecurrenceStep {
  int64_t items = 0, hidden = 0;   // N, H
  const float* p = nullptr;        // [N,GH], of step t
  const float* product = nullptr;  // [N,GH]
  const float* cont = nullptr;     // [N], of step t
  float* h = nullptr;              // [N,H], of step t
  // Of an LSTM:
  const float* c_before = nullptr;  // [N,H], of step t-1; c_0 at t = 0
  float* c = nullptr;               // [N,H], of step t
  float* gates = nullptr;           // [N,4H], of step t
};

// dh = g_t + cont_{t+1} * product; kTanh: dp = dh * (1 - h^2); kLstm: through gates and c, as in the formulas of
// lstm_gradient_step.
struct RecurrenceGradientStep {
  int64_t items = 0, hidden = 0;      // N, H
  const float* g = nullptr;           // [N,H], of step t
  const float* product = nullptr;     // [N,H]; null at the last step, which begins from zeros
  const float* cont_after = nullptr;  // [N], of step t+1; not read where product is null
  float* dp = nullptr;                // [N,GH], of step t
  // Of kTanh:
  const float* h = nullptr;  // [N,H], of step t
  // Of an LSTM:
  const float* c_before = nullptr;  // [N,H], of step t-1; c_0 at t = 0
  const float* c = nullptr;         // [N,H], of step t
  const float* gates = nullptr;     // [N,4H], of step t
  float* dc = nullptr;              // [N,H]: scratch that the steps hand on; need not be cleared
};

inline Grid grid_of_step(int64_t items, int64_t hidden) { return grid_of_elements(items * hidden); }

}  // namespace trainer::cuda
