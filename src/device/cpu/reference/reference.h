// The plain kernels: the definition of what each op computes, in any order of operands and results.
//
// Loops over logical elements, addresses by strides, sums in double. They take every op; the faster kernels
// are compared with them. Where an op's results depend on nothing but its inputs, so do theirs for any thread
// count.
#pragma once

#include <memory>
#include <string>

#include "runtime/device.h"

namespace trainer::cpu {

std::string refuse_nothing(const OpInstance& instance);

std::unique_ptr<Kernel> create_convolution_reference(const OpInstance& instance);
std::unique_ptr<Kernel> create_convolution_input_gradient_reference(const OpInstance& instance);
std::unique_ptr<Kernel> create_convolution_weight_gradient_reference(const OpInstance& instance);
std::unique_ptr<Kernel> create_matmul_reference(const OpInstance& instance);
std::unique_ptr<Kernel> create_max_pool_reference(const OpInstance& instance);
std::unique_ptr<Kernel> create_max_pool_gradient_reference(const OpInstance& instance);
std::unique_ptr<Kernel> create_sum_pool_reference(const OpInstance& instance);
std::unique_ptr<Kernel> create_sum_pool_gradient_reference(const OpInstance& instance);
std::unique_ptr<Kernel> create_lrn_reference(const OpInstance& instance);
std::unique_ptr<Kernel> create_lrn_gradient_reference(const OpInstance& instance);
std::unique_ptr<Kernel> create_recurrence_reference(const OpInstance& instance);
std::unique_ptr<Kernel> create_recurrence_gradient_reference(const OpInstance& instance);
// kReshape, kPermute, kSlice, kPad, kConcat, kReorder.
std::unique_ptr<Kernel> create_copy_reference(const OpInstance& instance);
// kOpaque: what the op brings.
std::unique_ptr<Kernel> create_opaque(const OpInstance& instance);

}  // namespace trainer::cpu
