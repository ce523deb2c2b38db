// The reference kernels: they define the result of each op, and support every order of operands and results.
//
// They loop over logical elements, address by strides and sum in double. Tests compare the faster kernels with them.
// Their results do not depend on the number of threads.
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
// kOpaque: the op's own function.
std::unique_ptr<Kernel> create_opaque(const OpInstance& instance);

}  // namespace trainer::cpu
