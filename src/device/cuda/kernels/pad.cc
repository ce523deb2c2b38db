// The kernel for a kPad that gives the pixels of an image 16 bytes.
#include "device/cuda/kernels/pad.h"

#include "device/cuda/fixed_kernel.h"

namespace trainer::cuda {

PadArguments pad_arguments(const OpInstance& instance, const Addresses& at) {
  const TensorDesc &from = instance.inputs[0], &to = instance.outputs[0];
  const std::vector<int64_t> strides = from.strides();
  PadArguments a;
  a.from = at.inputs[0];
  a.to = at.outputs[0];
  a.from_type = type_of(from);
  a.to_type = type_of(to);
  a.channels = static_cast<int32_t>(from.shape[1]);
  a.images = from.shape[0];
  a.pixels = from.shape.count(2);
  a.image = strides[0];
  a.channel = strides[1];
  a.pixel = strides.back();
  return a;
}

namespace {

std::string refuse(Context&, const OpInstance& instance) {
  const TensorDesc &from = instance.inputs[0], &to = instance.outputs[0];
  const auto& range = instance.op->as<SliceAttributes>();
  if (range.axis != 1 || range.begin != 0 || to.shape.rank() < 3) return "the channels do not end in zeros";
  if (!has_format(to, MemoryFormat::kChannelsLast)) return "the result is row-major";
  for (const TensorDesc* desc : {&from, &to}) {
    if (desc->dtype != DType::kF32 && desc->dtype != DType::kBF16 && desc->dtype != DType::kF16)
      return fmt::format("an operand is {}", name_of(desc->dtype));
  }
  const int64_t bytes = to.shape[1] * size_of(to.dtype);
  return bytes == kPixelBytes ? "" : fmt::format("a padded pixel has {} bytes", bytes);
}

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  return std::make_unique<FixedKernel<PadArguments>>(
      context, instance, launch_pad,
      [](const OpInstance& of, const Addresses& at, float*) { return std::vector{pad_arguments(of, at)}; });
}

}  // namespace

const Implementation pixel_pad{"pixels", refuse, create};

}  // namespace trainer::cuda
