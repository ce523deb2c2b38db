// The arguments of the fixed kernels (kernels/) from an op, its descriptors and its addresses.
#pragma once

#include <span>
#include <vector>

#include "device/cuda/kernels/convolution.h"
#include "device/cuda/kernels/copy.h"
#include "device/cuda/kernels/lrn.h"
#include "device/cuda/kernels/matmul.h"
#include "device/cuda/kernels/pool.h"
#include "runtime/device.h"

namespace trainer::cuda {

// Where the operands and results of an op lie.
struct Addresses {
  std::span<void*const> inputs, outputs;
};

ElementType type_of(const TensorDesc& desc);

ReshapeArguments reshape_arguments(const OpInstance& instance, const Addresses& at);
// Of kReorder, kPermute, kSlice, kPad and kConcat: the copy of one of the operands.
CopyArguments copy_arguments(const OpInstance& instance, size_t input, const Addresses& at);
// Of the four pool kinds.
PoolArguments pool_arguments(const OpInstance& instance, const Addresses& at);
// kLrnGradient: `products` is left to the caller.
LrnArguments lrn_arguments(const OpInstance& instance, const Addresses& at);
MatmulArguments matmul_arguments(const OpInstance& instance, const Addresses& at);
// Of the three convolutions; `partial` is left to the caller.
ConvolutionArguments convolution_arguments(const OpInstance& instance, const Addresses& at);

}  // namespace trainer::cuda
