// Our own kernels: OpenMP over rows of the tables of isa/.
//
// Each refuse_* gives the reason why an op cannot be taken, or "".
#pragma once

#include <memory>
#include <string>

#include "runtime/device.h"

namespace trainer::cpu {

// kMaxPool, kMaxPoolGradient, kSumPool, kSumPoolGradient; channels-last or row-major, the same throughout.
std::string refuse_pool_direct(const OpInstance& instance);
std::unique_ptr<Kernel> create_pool_direct(const OpInstance& instance);

// kLrn, kLrnGradient; channels-last.
std::string refuse_lrn_direct(const OpInstance& instance);
std::unique_ptr<Kernel> create_lrn_direct(const OpInstance& instance);

// The three convolution kinds with one channel per group; channels-last.
std::string refuse_depthwise_direct(const OpInstance& instance);
// Those of them that go by rows, faster: 3x3, one stride of 1 or 2 (the input gradient: 1), channels in sixteens.
std::string refuse_depthwise_rows(const OpInstance& instance);
std::unique_ptr<Kernel> create_depthwise_direct(const OpInstance& instance);

// The three convolution kinds with filters of 3x3 or 5x5, stride 1 and 16 channels a group; channels-last.
std::string refuse_winograd_direct(const OpInstance& instance);
std::unique_ptr<Kernel> create_winograd_direct(const OpInstance& instance);

// The three convolution kinds with filters of one pixel and 16 channels a group; channels-last.
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
