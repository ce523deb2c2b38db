// The implementations by OpenBLAS: matrix products, and convolutions as matrix products over unfolded windows.
//
// Each refuse_* returns the reason why the kernel cannot run an op, or "".
#pragma once

#include <memory>
#include <string>

#include "runtime/device.h"

namespace trainer::cpu {

std::string refuse_matmul_openblas(const OpInstance& instance);
std::unique_ptr<Kernel> create_matmul_openblas(const OpInstance& instance);

// kConvolution, kConvolutionInputGradient, kConvolutionWeightGradient; all operands channels-last or all
// row-major.
std::string refuse_convolution_openblas(const OpInstance& instance);
std::unique_ptr<Kernel> create_convolution_openblas(const OpInstance& instance);

}  // namespace trainer::cpu
