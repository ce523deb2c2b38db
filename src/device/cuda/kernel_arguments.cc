// Reads the arguments of the fixed kernels off ops.
#include "device/cuda/kernel_arguments.h"

#include <algorithm>

#include "runtime/windows.h"

namespace trainer::cuda {
namespace {

void* element(void* base, int64_t elements, DType dtype) {
  return static_cast<char*>(base) + elements * size_of(dtype);
}

const float* bias_of(const Addresses& at) {
  return at.inputs.size() > 2 ? static_cast<const float*>(at.inputs[2]) : nullptr;
}

}  // namespace

ElementType type_of(const TensorDesc& desc) { return static_cast<ElementType>(desc.dtype); }

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
    a.from = element(at.inputs[0], slice.begin * from_strides[static_cast<size_t>(slice.axis)], to.dtype);
  } else if (op.kind == OpKind::kPad) {
    const auto& slice = op.as<SliceAttributes>();
    a.padded = slice.axis;
    a.begin = slice.begin;
    a.end = slice.end;
  } else if (op.kind == OpKind::kConcat) {
    const int axis = op.as<ConcatAttributes>().axis;
    int64_t joined = 0;
    for (size_t i = 0; i < input; ++i) joined += instance.inputs[i].shape[axis];
    a.to = element(at.outputs[0], joined * to_strides[static_cast<size_t>(axis)], to.dtype);
  }
  return a;
}

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
    const TensorDesc& winner = forward ? instance.outputs[1] : instance.inputs[1];
    a.winner = forward ? at.outputs[1] : at.inputs[1];
    a.winner_strides = strides_of(winner);
    a.wide_winners = winner.dtype == DType::kS32;
  }
  return a;
}

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

MatmulArguments matmul_arguments(const OpInstance& instance, const Addresses& at) {
  const auto& attributes = instance.op->as<MatmulAttributes>();
  const Shape& y = instance.outputs[0].shape;
  const int rank = y.rank();
  MatmulArguments a;
  a.batch = rank == 3 ? y[0] : 1;
  a.m = y[rank - 2];
  a.n = y[rank - 1];
  a.k = instance.inputs[0].shape[rank - (attributes.transpose_a ? 2 : 1)];
  a.transpose_a = attributes.transpose_a;
  a.transpose_b = attributes.transpose_b;
  a.epilogue = {attributes.epilogue.relu, attributes.epilogue.slope};
  a.a = at.inputs[0];
  a.b = at.inputs[1];
  a.bias = bias_of(at);
  a.y = at.outputs[0];
  a.a_type = type_of(instance.inputs[0]);
  a.b_type = type_of(instance.inputs[1]);
  a.y_type = type_of(instance.outputs[0]);
  return a;
}

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
  a.bias = weights ? nullptr : bias_of(at);
  a.x_type = type_of(*operands.x);
  a.w_type = type_of(*operands.weights);
  a.y_type = type_of(*operands.y);
  a.x_strides = strides_of(*operands.x);
  a.w_strides = strides_of(*operands.weights);
  a.y_strides = strides_of(*operands.y);
  return a;
}

}  // namespace trainer::cuda
