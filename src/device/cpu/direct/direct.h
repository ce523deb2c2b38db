// Kernels of this project: OpenMP loops that call the functions of isa/.
//
// Each refuse_* returns the reason why the kernel cannot run an op, or "".
#pragma once

#include <memory>
#include <string>

#include "runtime/device.h"

namespace trainer::cpu {

// kMaxPool, kMaxPoolGradient, kSumPool, kSumPoolGradient; all tensors channels-last or all row-major.
std::string refuse_pool_direct(const OpInstance& instance);
std::unique_ptr<Kernel> create_pool_direct(const OpInstance& instance);

// kLrn, kLrnGradient; channels-last.
std::string refuse_lrn_direct(const OpInstance& instance);
std::unique_ptr<Kernel> create_lrn_direct(const OpInstance& instance);

// The three convolution kinds with one channel per group; channels-last.
std::string refuse_depthwise_direct(const OpInstance& instance);
// The faster pass by rows: filters of 3x3, equal strides of 1 or 2 (input gradient: 1), a multiple of 16 channels.
std::string refuse_depthwise_rows(const OpInstance& instance);
std::unique_ptr<Kernel> create_depthwise_direct(const OpInstance& instance);

// The three convolution kinds with filters of 3x3 or 5x5, stride 1 and at least 16 channels per group; channels-last.
std::string refuse_winograd_direct(const OpInstance& instance);
std::unique_ptr<Kernel> create_winograd_direct(const OpInstance& instance);

// The three convolution kinds with 1x1 filters and at least 16 channels per group; channels-last.
std::string refuse_pointwise_direct(const OpInstance& instance);
std::unique_ptr<Kernel> create_pointwise_direct(const OpInstance& instance);

// kRecurrence, kRecurrenceGradient.
std::string refuse_recurrence_direct(const OpInstance& instance);
std::unique_ptr<Kernel> create_recurrence_direct(const OpInstance& instance);
std::unique_ptr<Kernel> create_recurrence_gradient_direct(const OpInstance& instance);

// kReshape, kPermute, kSlice, kPad, kConcat, kReorder; any orders, elements of 1, 2 or 4 bytes.
std::string refuse_copy_direct(const OpInstance& instance);
std::unique_ptr<Kernel> create_copy_direct(const OpInstance& instance);

}  // namespace trainer::cpu
