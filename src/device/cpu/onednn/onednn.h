// The implementations by oneDNN. They are part of the build if oneDNN was found (macro TRAINER_WITH_ONEDNN).
#pragma once

#include <memory>
#include <string>

#include "runtime/device.h"

namespace trainer::cpu {

// kConvolution, kConvolutionInputGradient, kConvolutionWeightGradient: channels-last, row-major weights.
std::string refuse_convolution_onednn(const OpInstance& instance);
std::unique_ptr<Kernel> create_convolution_onednn(const OpInstance& instance);

std::string refuse_matmul_onednn(const OpInstance& instance);
std::unique_ptr<Kernel> create_matmul_onednn(const OpInstance& instance);

}  // namespace trainer::cpu
