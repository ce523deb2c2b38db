// The GPU's implementations of the ops: one ordered list per kind, fastest first, the plain kernel last.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/cuda/context.h"

namespace trainer::cuda {

struct Implementation {
  const char* name;
  // Why this op cannot be taken, or "".
  std::string (*refuse)(Context& context, const OpInstance& instance);
  std::unique_ptr<Kernel> (*create)(Context& context, const OpInstance& instance);
};

const std::vector<Implementation>& implementations_of(OpKind kind);

// Generated text through NVRTC.
std::string refuse_map(Context& context, const OpInstance& instance);
std::unique_ptr<Kernel> create_map(Context& context, const OpInstance& instance);
// cuBLASLt.
std::string refuse_matmul(Context& context, const OpInstance& instance);
std::unique_ptr<Kernel> create_matmul(Context& context, const OpInstance& instance);
// cuDNN's graphs: the three convolutions.
std::string refuse_convolution(Context& context, const OpInstance& instance);
std::unique_ptr<Kernel> create_convolution(Context& context, const OpInstance& instance);

// Fixed kernels.
std::string refuse_copy(Context& context, const OpInstance& instance);
std::unique_ptr<Kernel> create_copy(Context& context, const OpInstance& instance);
std::string refuse_small_map(Context& context, const OpInstance& instance);
std::unique_ptr<Kernel> create_small_map(Context& context, const OpInstance& instance);
std::string refuse_pool(Context& context, const OpInstance& instance);
std::unique_ptr<Kernel> create_pool(Context& context, const OpInstance& instance);
std::string refuse_lrn(Context& context, const OpInstance& instance);
std::unique_ptr<Kernel> create_lrn(Context& context, const OpInstance& instance);
std::string refuse_recurrence(Context& context, const OpInstance& instance);
std::unique_ptr<Kernel> create_recurrence(Context& context, const OpInstance& instance);
std::string refuse_plain_matmul(Context& context, const OpInstance& instance);
std::unique_ptr<Kernel> create_plain_matmul(Context& context, const OpInstance& instance);
std::string refuse_plain_convolution(Context& context, const OpInstance& instance);
std::unique_ptr<Kernel> create_plain_convolution(Context& context, const OpInstance& instance);
// On the host.
std::string refuse_opaque(Context& context, const OpInstance& instance);
std::unique_ptr<Kernel> create_opaque(Context& context, const OpInstance& instance);

}  // namespace trainer::cuda
