// The plain local response normalization: kernels for kLrn and kLrnGradient.
#include "device/cuda/kernels/lrn.h"

#include "device/cuda/fixed_kernel.h"
#include "runtime/windows.h"

namespace trainer::cuda {

LrnArguments lrn_arguments(const OpInstance& instance, const Addresses& at) {
  const auto& attributes = instance.op->as<LrnAttributes>();
  const TensorDesc& x = instance.inputs[0];
  LrnArguments a;
  a.batch = x.shape[0];
  a.channels = x.shape[1];
  set_extents(x.shape, a.extents);
  a.size = attributes.size;
  a.alpha = attributes.alpha;
  a.beta = attributes.beta;
  a.k = attributes.k;
  a.type = type_of(x);
  a.x = at.inputs[0];
  a.x_strides = strides_of(x);
  a.result = at.outputs[0];
  a.result_strides = strides_of(instance.outputs[0]);
  if (instance.op->kind == OpKind::kLrnGradient) {
    a.g = at.inputs[1];
    a.g_strides = strides_of(instance.inputs[1]);
  }
  return a;
}

namespace {

std::string refuse(Context&, const OpInstance& instance) { return refuse_integers(instance, instance.inputs.size()); }

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<FixedKernel<LrnArguments>>(
      context, instance, instance.op->kind == OpKind::kLrn ? launch_lrn : launch_lrn_gradient,
      [](const OpInstance& of, const Addresses& at, float*) { return std::vector{lrn_arguments(of, at)}; });
}

}  // namespace

const Implementation plain_lrn{"plain", refuse, create};

}  // namespace trainer::cuda
