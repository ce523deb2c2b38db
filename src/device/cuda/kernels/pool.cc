// The plain pools: kernels for the four pool kinds.
#include "device/cuda/kernels/pool.h"

#include "device/cuda/fixed_kernel.h"
#include "runtime/windows.h"

namespace trainer::cuda {

PoolArguments pool_arguments(const OpInstance& instance, const Addresses& at) {
  const OpKind kind = instance.op->kind;
  const bool forward = kind == OpKind::kMaxPool || kind == OpKind::kSumPool;
  const PoolGeometry g = pool_geometry(instance);
  PoolArguments a;
  a.batch = g.batch;
  a.channels = g.channels;
  a.windows = g.windows;
  a.type = type_of(instance.inputs[0]);
  a.y_type = type_of(forward ? instance.outputs[0] : instance.inputs[0]);
  a.x = forward ? at.inputs[0] : at.outputs[0];
  a.y = forward ? at.outputs[0] : at.inputs[0];
  a.x_strides = strides_of(forward ? instance.inputs[0] : instance.outputs[0]);
  a.y_strides = strides_of(forward ? instance.outputs[0] : instance.inputs[0]);
  if (kind == OpKind::kMaxPool || kind == OpKind::kMaxPoolGradient) {
    a.winner = forward ? at.outputs[1] : at.inputs[1];
    a.wide_winners = (forward ? instance.outputs[1] : instance.inputs[1]).dtype == DType::kS32;
  }
  return a;
}

namespace {

std::string refuse(Context&, const OpInstance& instance) {
  const OpKind kind = instance.op->kind;
  const bool forward = kind == OpKind::kMaxPool || kind == OpKind::kSumPool;
  const TensorDesc &x = forward ? instance.inputs[0] : instance.outputs[0],
                   &y = forward ? instance.outputs[0] : instance.inputs[0];
  if (x.shape.count() > kMaxPackedElements || y.shape.count() > kMaxPackedElements)
    return "a tensor has more than 2^31 - 1 elements";
  if (kind == OpKind::kMaxPool || kind == OpKind::kMaxPoolGradient) {
    const TensorDesc& winner = forward ? instance.outputs[1] : instance.inputs[1];
    if (!has_format(winner, y.order)) return "winners and results have different orders";
  }
  return refuse_integers(instance, 1);
}

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  const OpKind kind = instance.op->kind;
  const auto launch = kind == OpKind::kMaxPool           ? launch_max_pool
                      : kind == OpKind::kMaxPoolGradient ? launch_max_pool_gradient
                      : kind == OpKind::kSumPool         ? launch_sum_pool
                                                         : launch_sum_pool_gradient;
  return std::make_unique<FixedKernel<PoolArguments>>(
      context, instance, launch,
      [](const OpInstance& of, const Addresses& at, float*) { return std::vector{pool_arguments(of, at)}; });
}

}  // namespace

const Implementation plain_pool{"plain", refuse, create};

}  // namespace trainer::cuda
