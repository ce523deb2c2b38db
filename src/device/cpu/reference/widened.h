// Runs a kernel of floats on operands and results of bf16, widened and rounded in the workspace.
#pragma once

#include <memory>

#include "runtime/device.h"

namespace trainer::cpu {

using CreateKernel = std::unique_ptr<Kernel> (*)(const OpInstance& instance);

// What `create` makes, where nothing is bf16.
std::unique_ptr<Kernel> create_widened(const OpInstance& instance, CreateKernel create);

// The same as a function of the instance only.
template <CreateKernel kCreate>
std::unique_ptr<Kernel> create_widened(const OpInstance& instance) {
  return create_widened(instance, kCreate);
}

}  // namespace trainer::cpu
