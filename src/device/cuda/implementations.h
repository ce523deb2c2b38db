// The GPU's implementations of the ops: one ordered list per kind, fastest first, the plain kernel last.
#pragma once

#include <vector>

#include "device/cuda/context.h"
#include "runtime/implementation.h"

namespace trainer::cuda {

using Implementation = trainer::Implementation<Context>;

const std::vector<Implementation>& implementations_of(OpKind kind);

// Each is defined in the file of its kernel.
extern const Implementation generated_map, interpreted_map;
extern const Implementation cublaslt_matmul, plain_matmul;
extern const Implementation depthwise_convolution, cudnn_convolution, plain_convolution;
extern const Implementation pixel_pad, plain_copy, plain_lrn, plain_pool, plain_recurrence, repack;
extern const Implementation host_opaque;

// Device::joinable and Device::join for small maps, for maps and for conversions of weights.
size_t joinable_small_maps(std::span<const OpInstance> ops);
std::unique_ptr<Kernel> create_joined_small_maps(Context& context, std::span<const OpInstance> maps);
size_t joinable_maps(Context& context, std::span<const OpInstance> ops);
std::unique_ptr<Kernel> create_joined_maps(Context& context, std::span<const OpInstance> maps);
size_t joinable_repacks(Context& context, std::span<const OpInstance> ops);
std::unique_ptr<Kernel> create_joined_repacks(Context& context, std::span<const OpInstance> ops);

}  // namespace trainer::cuda
