// The depthwise convolution: kernels for the three convolution kinds.
#include "device/cuda/kernels/depthwise.h"

#include "device/cuda/fixed_kernel.h"
#include "runtime/windows.h"

namespace trainer::cuda {
namespace {

std::string refuse(Context&, const OpInstance& instance) {
  const ConvolutionGeometry g = convolution_geometry(instance);
  const ConvolutionOperands operands = convolution_operands(instance);
  if (g.group == 1 || g.inputs != 1 || g.outputs != 1) return "it is not depthwise";
  if (!has_format(*operands.x, MemoryFormat::kChannelsLast) || !has_format(*operands.y, MemoryFormat::kChannelsLast))
    return "an image is row-major";
  if (operands.x->dtype != operands.y->dtype) return "input and output have different types";
  if (g.windows.taps() > kMaxDepthwiseTaps) return fmt::format("a filter has {} taps", g.windows.taps());
  if (operands.x->shape.count() > kMaxPackedElements || operands.y->shape.count() > kMaxPackedElements ||
      !g.fits_32_bits())
    return "an image is too large";
  return refuse_integers(instance, instance.inputs.size());
}

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  const OpKind kind = instance.op->kind;
  const auto launch = kind == OpKind::kConvolution                 ? launch_depthwise
                      : kind == OpKind::kConvolutionWeightGradient ? launch_depthwise_weight_gradient
                                                                   : launch_depthwise_input_gradient;
  int64_t floats = 0;
  if (kind == OpKind::kConvolutionWeightGradient) {
    void* const no_addresses[] = {nullptr, nullptr};
    floats = depthwise_partial_floats(convolution_arguments(instance, {no_addresses, no_addresses}));
  }
  const int64_t bytes = floats * static_cast<int64_t>(sizeof(float));
  return std::make_unique<FixedKernel<ConvolutionArguments>>(
      context, instance, launch,
      [kind, floats](const OpInstance& of, const Addresses& at, float* scratch) {
        ConvolutionArguments a = convolution_arguments(of, at);
        a.partial = scratch;
        // The addresses of operands are as aligned as null.
        TRAINER_ASSERT(kind != OpKind::kConvolutionWeightGradient || depthwise_partial_floats(a) == floats);
        return std::vector{a};
      },
      FixedKernelCosts{aligned(bytes), bytes > 0 ? 2 : 1, 2 * bytes});
}

}  // namespace

const Implementation depthwise_convolution{"depthwise", refuse, create};

}  // namespace trainer::cuda
