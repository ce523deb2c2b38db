// Runs an f32 kernel on bf16 operands and results: copies in the workspace are widened before and rounded after it.
#pragma once

#include <memory>

#include "runtime/device.h"

namespace trainer::cpu {

using CreateKernel = std::unique_ptr<Kernel> (*)(const OpInstance& instance);

// If no tensor is bf16, the result is the kernel of `create` itself.
std::unique_ptr<Kernel> create_widened(const OpInstance& instance, CreateKernel create);

// The same, with `create` as a template argument.
template <CreateKernel kCreate>
std::unique_ptr<Kernel> create_widened(const OpInstance& instance) {
  return create_widened(instance, kCreate);
}

}  // namespace trainer::cpu
