// The plain convolution: a kernel for the three convolution kinds.
#include "device/cuda/kernels/convolution.h"

#include "device/cuda/fixed_kernel.h"
#include "runtime/windows.h"

namespace trainer::cuda {

ConvolutionArguments convolution_arguments(const OpInstance& instance, const Addresses& at) {
  const OpKind kind = instance.op->kind;
  const auto& attributes = instance.op->as<ConvolutionAttributes>();
  const ConvolutionGeometry g = convolution_geometry(instance);
  const ConvolutionOperands operands = convolution_operands(instance);
  const bool forward = kind == OpKind::kConvolution, weights = kind == OpKind::kConvolutionWeightGradient;
  ConvolutionArguments a;
  a.batch = g.batch;
  a.group = g.group;
  a.inputs = g.inputs;
  a.outputs = g.outputs;
  a.windows = g.windows;
  a.epilogue = {attributes.epilogue.relu, attributes.epilogue.slope};
  a.x = forward || weights ? at.inputs[0] : at.outputs[0];
  a.w = weights ? at.outputs[0] : at.inputs[1];
  a.y = forward ? at.outputs[0] : weights ? at.inputs[1] : at.inputs[0];
  a.bias = weights || at.inputs.size() < 3 ? nullptr : static_cast<const float*>(at.inputs[2]);
  a.x_type = type_of(*operands.x);
  a.w_type = type_of(*operands.weights);
  a.y_type = type_of(*operands.y);
  a.x_strides = strides_of(*operands.x);
  a.w_strides = strides_of(*operands.weights);
  a.y_strides = strides_of(*operands.y);
  return a;
}

namespace {

std::string refuse(Context&, const OpInstance& instance) { return refuse_integers(instance, instance.inputs.size()); }

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  const OpKind kind = instance.op->kind;
  const bool weights = kind == OpKind::kConvolutionWeightGradient;
  const auto launch = kind == OpKind::kConvolution ? launch_convolution
                      : weights                    ? launch_convolution_weight_gradient
                                                   : launch_convolution_input_gradient;
  int64_t partial = 0;
  if (weights) {
    void* const no_addresses[] = {nullptr, nullptr};
    partial = partial_floats(convolution_arguments(instance, {no_addresses, no_addresses})) *
              static_cast<int64_t>(sizeof(float));
  }
  return std::make_unique<FixedKernel<ConvolutionArguments>>(
      context, instance, launch,
      [](const OpInstance& of, const Addresses& at, float* scratch) {
        ConvolutionArguments a = convolution_arguments(of, at);
        a.partial = scratch;
        return std::vector{a};
      },
      FixedKernelCosts{aligned(partial), partial > 0 ? 2 : 1, 2 * partial});
}

}  // namespace

const Implementation plain_convolution{"plain", refuse, create};

}  // namespace trainer::cuda
