// The copies: a kernel for the six kinds of op that only move elements.
#include "device/cuda/kernels/copy.h"

#include <algorithm>

#include "device/cuda/fixed_kernel.h"

namespace trainer::cuda {

ReshapeArguments reshape_arguments(const OpInstance& instance, const Addresses& at) {
  const TensorDesc &from = instance.inputs[0], &to = instance.outputs[0];
  const std::vector<int64_t> from_strides = from.strides(), to_strides = to.strides();
  ReshapeArguments a;
  a.from = at.inputs[0];
  a.to = at.outputs[0];
  a.element_bytes = static_cast<int>(size_of(to.dtype));
  a.from_dims = from.shape.rank();
  a.to_dims = to.shape.rank();
  std::copy_n(from.shape.dims().begin(), a.from_dims, a.from_extents);
  std::copy_n(from_strides.begin(), a.from_dims, a.from_strides);
  std::copy_n(to.shape.dims().begin(), a.to_dims, a.to_extents);
  std::copy_n(to_strides.begin(), a.to_dims, a.to_strides);
  return a;
}

namespace {

// The copy of one input of a kReorder, kPermute, kPad or kConcat, or of one result of a kSlice.
CopyArguments copy_arguments(const OpInstance& instance, size_t part, const Addresses& at) {
  const Op& op = *instance.op;
  const bool slices = op.kind == OpKind::kSlice;
  const size_t input = slices ? 0 : part, output = slices ? part : 0;
  const TensorDesc &from = instance.inputs[input], &to = instance.outputs[output];
  const std::vector<int64_t> from_strides = from.strides(), to_strides = to.strides();
  CopyArguments a;
  a.from = at.inputs[input];
  a.to = at.outputs[output];
  a.element_bytes = static_cast<int>(size_of(to.dtype));
  a.dims = to.shape.rank();
  const Shape& domain = op.kind == OpKind::kConcat ? from.shape : to.shape;
  for (int i = 0; i < a.dims; ++i) {
    const int source = op.kind == OpKind::kPermute ? op.as<PermuteAttributes>().axes[static_cast<size_t>(i)] : i;
    a.extents[i] = domain[i];
    a.from_strides[i] = from_strides[static_cast<size_t>(source)];
    a.to_strides[i] = to_strides[static_cast<size_t>(i)];
  }
  if (slices) {
    const auto& slice = op.as<SliceAttributes>();
    int64_t begin = slice.begin;
    for (size_t i = 0; i < part; ++i) begin += instance.outputs[i].shape[slice.axis];
    const int64_t offset = begin * from_strides[static_cast<size_t>(slice.axis)];
    a.from = static_cast<const char*>(a.from) + offset * a.element_bytes;
  } else if (op.kind == OpKind::kPad) {
    const auto& slice = op.as<SliceAttributes>();
    a.padded = slice.axis;
    a.begin = slice.begin;
    a.end = slice.end;
  } else if (op.kind == OpKind::kConcat) {
    const int axis = op.as<ConcatAttributes>().axis;
    int64_t before = 0;
    for (size_t i = 0; i < part; ++i) before += instance.inputs[i].shape[axis];
    const int64_t offset = before * to_strides[static_cast<size_t>(axis)];
    a.to = static_cast<char*>(a.to) + offset * a.element_bytes;
  }
  return a;
}

}  // namespace

std::vector<CopyLaunch> copy_launches(const OpInstance& instance, const Addresses& at) {
  std::vector<CopyLaunch> launches;
  const size_t parts = std::max(instance.inputs.size(), instance.outputs.size());
  for (size_t part = 0; part < parts; ++part) {
    const CopyArguments copy = copy_arguments(instance, part, at);
    if (count_of(copy) == 0) continue;
    if (launches.empty() || launches.back().count == CopyLaunch::kMaxCopies) launches.emplace_back();
    launches.back().add(copy);
  }
  return launches;
}

namespace {

std::string refuse(Context&, const OpInstance& instance) {
  if (instance.inputs[0].dtype != instance.outputs[0].dtype) return "it changes the type";
  for (const auto* descs : {&instance.inputs, &instance.outputs}) {
    for (const TensorDesc& desc : *descs) {
      if (desc.shape.rank() > kCopyDims) return fmt::format("more than {} axes", kCopyDims);
    }
  }
  return "";
}

std::unique_ptr<Kernel> create(Context& context, const OpInstance& instance) {
  if (instance.op->kind == OpKind::kReshape)
    return std::make_unique<FixedKernel<ReshapeArguments>>(
        context, instance, launch_reshape,
        [](const OpInstance& of, const Addresses& at, float*) { return std::vector{reshape_arguments(of, at)}; });
  return std::make_unique<FixedKernel<CopyLaunch>>(
      context, instance, launch_copies,
      [](const OpInstance& of, const Addresses& at, float*) { return copy_launches(of, at); });
}

}  // namespace

const Implementation plain_copy{"plain", refuse, create};

}  // namespace trainer::cuda
