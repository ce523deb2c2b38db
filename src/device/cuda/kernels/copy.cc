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

CopyArguments copy_arguments(const OpInstance& instance, size_t input, const Addresses& at) {
  const Op& op = *instance.op;
  const TensorDesc &from = instance.inputs[input], &to = instance.outputs[0];
  const std::vector<int64_t> from_strides = from.strides(), to_strides = to.strides();
  CopyArguments a;
  a.from = at.inputs[input];
  a.to = at.outputs[0];
  a.element_bytes = static_cast<int>(size_of(to.dtype));
  a.dims = to.shape.rank();
  const Shape& domain = op.kind == OpKind::kConcat ? from.shape : to.shape;
  for (int i = 0; i < a.dims; ++i) {
    const int source = op.kind == OpKind::kPermute ? op.as<PermuteAttributes>().axes[static_cast<size_t>(i)] : i;
    a.extents[i] = domain[i];
    a.from_strides[i] = from_strides[static_cast<size_t>(source)];
    a.to_strides[i] = to_strides[static_cast<size_t>(i)];
  }
  if (op.kind == OpKind::kSlice) {
    const auto& slice = op.as<SliceAttributes>();
    const int64_t offset = slice.begin * from_strides[static_cast<size_t>(slice.axis)];
    a.from = static_cast<const char*>(a.from) + offset * a.element_bytes;
  } else if (op.kind == OpKind::kPad) {
    const auto& slice = op.as<SliceAttributes>();
    a.padded = slice.axis;
    a.begin = slice.begin;
    a.end = slice.end;
  } else if (op.kind == OpKind::kConcat) {
    const int axis = op.as<ConcatAttributes>().axis;
    int64_t before = 0;
    for (size_t i = 0; i < input; ++i) before += instance.inputs[i].shape[axis];
    const int64_t offset = before * to_strides[static_cast<size_t>(axis)];
    a.to = static_cast<char*>(a.to) + offset * a.element_bytes;
  }
  return a;
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
  return std::make_unique<FixedKernel<CopyArguments>>(context, instance, launch_copy,
                                                      [](const OpInstance& of, const Addresses& at, float*) {
                                                        std::vector<CopyArguments> copies;
                                                        for (size_t i = 0; i < of.inputs.size(); ++i) {
                                                          if (of.inputs[i].shape.count() > 0)
                                                            copies.push_back(copy_arguments(of, i, at));
                                                        }
                                                        return copies;
                                                      });
}

}  // namespace

const Implementation plain_copy{"plain", refuse, create};

}  // namespace trainer::cuda
