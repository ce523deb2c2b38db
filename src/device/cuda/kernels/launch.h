// The launches of the fixed kernels: each queues its kernels on the stream and returns the error of queueing. The
// arguments, whose meaning is in the headers of the families, are trusted.
#pragma once

#ifndef CUDA_EMULATOR
#include <cuda_runtime_api.h>
#endif

#include "device/cuda/kernels/convolution.h"
#include "device/cuda/kernels/copy.h"
#include "device/cuda/kernels/interpreter.h"
#include "device/cuda/kernels/lrn.h"
#include "device/cuda/kernels/matmul.h"
#include "device/cuda/kernels/pool.h"
#include "device/cuda/kernels/recurrence.h"

namespace trainer::cuda {

cudaError_t launch_copy(const CopyArguments& arguments, cudaStream_t stream);
cudaError_t launch_reshape(const ReshapeArguments& arguments, cudaStream_t stream);
cudaError_t launch_send(const SendArguments& arguments, cudaStream_t stream);

cudaError_t launch_interpreted(const InterpretedMap& arguments, cudaStream_t stream);

cudaError_t launch_max_pool(const PoolArguments& arguments, cudaStream_t stream);
cudaError_t launch_max_pool_gradient(const PoolArguments& arguments, cudaStream_t stream);
cudaError_t launch_sum_pool(const PoolArguments& arguments, cudaStream_t stream);
cudaError_t launch_sum_pool_gradient(const PoolArguments& arguments, cudaStream_t stream);

cudaError_t launch_lrn(const LrnArguments& arguments, cudaStream_t stream);
cudaError_t launch_lrn_gradient(const LrnArguments& arguments, cudaStream_t stream);

cudaError_t launch_matmul(const MatmulArguments& arguments, cudaStream_t stream);

cudaError_t launch_convolution(const ConvolutionArguments& arguments, cudaStream_t stream);
cudaError_t launch_convolution_input_gradient(const ConvolutionArguments& arguments, cudaStream_t stream);
cudaError_t launch_convolution_weight_gradient(const ConvolutionArguments& arguments, cudaStream_t stream);

cudaError_t launch_tanh_step(const RecurrenceStep& step, cudaStream_t stream);
cudaError_t launch_lstm_step(const RecurrenceStep& step, cudaStream_t stream);
cudaError_t launch_tanh_gradient_step(const RecurrenceGradientStep& step, cudaStream_t stream);
cudaError_t launch_lstm_gradient_step(const RecurrenceGradientStep& step, cudaStream_t stream);

// Outside nvcc, in tests, the emulator brings it.
#ifdef __CUDACC__
template <typename Arguments>
cudaError_t launch_kernel(void (*kernel)(Arguments), const Grid& grid, const Arguments& arguments,
                          cudaStream_t stream) {
  if (grid.blocks == 0) return cudaSuccess;
  const dim3 threads(static_cast<unsigned>(grid.x), static_cast<unsigned>(grid.y));
  void* list[] = {const_cast<Arguments*>(&arguments)};
  return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), dim3(static_cast<unsigned>(grid.blocks)), threads,
                          list, 0, stream);
}
#endif

}  // namespace trainer::cuda
