// Computes the geometry of convolution and pooling.
#include "runtime/windows.h"

#include <limits>

#include "base/error.h"

namespace trainer {
namespace {

constexpr int kSpatial = 3;

void set_attribute(const std::vector<int64_t>& values, int spatial, int64_t (&extents)[3]) {
  TRAINER_ASSERT(static_cast<int>(values.size()) == spatial);
  for (int i = 0; i < spatial; ++i) extents[kSpatial - spatial + i] = values[static_cast<size_t>(i)];
}

}  // namespace

void set_extents(const Shape& shape, int64_t (&extents)[3]) {
  const int spatial = shape.rank() - 2;
  TRAINER_ASSERT(spatial >= 0 && spatial <= kSpatial);
  for (int i = 0; i < spatial; ++i) extents[kSpatial - spatial + i] = shape[2 + i];
}

bool ConvolutionGeometry::pointwise() const {
  const Windows& w = windows;
  for (int i = 0; i < kSpatial; ++i) {
    if (w.kernel[i] != 1 || w.stride[i] != 1 || w.pad[i] != 0 || w.in[i] != w.out[i]) return false;
  }
  return true;
}

bool ConvolutionGeometry::fits_32_bits() const {
  for (int axis = 0; axis < kSpatial; ++axis) {
    if (windows.in[axis] + 2 * windows.pad[axis] > std::numeric_limits<int32_t>::max()) return false;
  }
  return true;
}

Strides strides_of(const TensorDesc& desc) {
  const std::vector<int64_t> strides = desc.strides();
  const int spatial = desc.shape.rank() - 2;
  TRAINER_ASSERT(spatial >= 0 && spatial <= kSpatial);
  Strides result;
  result.n = strides[0];
  result.c = strides[1];
  for (int i = 0; i < spatial; ++i) result.spatial[kSpatial - spatial + i] = strides[static_cast<size_t>(2 + i)];
  return result;
}

ConvolutionOperands convolution_operands(const OpInstance& instance) {
  const auto& in = instance.inputs;
  const auto& out = instance.outputs;
  switch (instance.op->kind) {
    case OpKind::kConvolution: return {&in[0], &in[1], &out[0]};
    case OpKind::kConvolutionInputGradient: return {&out[0], &in[1], &in[0]};
    default: return {&in[0], &out[0], &in[1]};
  }
}

ConvolutionGeometry convolution_geometry(const OpInstance& instance) {
  const ConvolutionOperands operands = convolution_operands(instance);
  const auto& attributes = instance.op->as<ConvolutionAttributes>();
  const int spatial = operands.x->shape.rank() - 2;
  ConvolutionGeometry g;
  g.batch = operands.x->shape[0];
  g.group = attributes.group;
  g.inputs = operands.x->shape[1] / g.group;
  g.outputs = operands.y->shape[1] / g.group;
  set_extents(operands.x->shape, g.windows.in);
  set_extents(operands.y->shape, g.windows.out);
  set_extents(operands.weights->shape, g.windows.kernel);
  set_attribute(attributes.stride, spatial, g.windows.stride);
  set_attribute(attributes.pad, spatial, g.windows.pad);
  set_attribute(attributes.dilation, spatial, g.windows.dilation);
  return g;
}

PoolGeometry pool_geometry(const OpInstance& instance) {
  const bool forward = instance.op->kind == OpKind::kMaxPool || instance.op->kind == OpKind::kSumPool;
  const Shape& in = forward ? instance.inputs[0].shape : instance.outputs[0].shape;
  const Shape& out = forward ? instance.outputs[0].shape : instance.inputs[0].shape;
  const auto& attributes = instance.op->as<PoolAttributes>();
  const int spatial = in.rank() - 2;
  PoolGeometry g;
  g.batch = in[0];
  g.channels = in[1];
  set_extents(in, g.windows.in);
  set_extents(out, g.windows.out);
  set_attribute(attributes.kernel, spatial, g.windows.kernel);
  set_attribute(attributes.stride, spatial, g.windows.stride);
  set_attribute(attributes.pad, spatial, g.windows.pad);
  return g;
}

std::string refuse_images(const ConvolutionOperands& operands) {
  for (const TensorDesc* desc : {operands.x, operands.weights, operands.y}) {
    if (desc->shape.count() == 0) return "an operand is empty";
  }
  if (!has_format(*operands.x, MemoryFormat::kChannelsLast)) return "the input is row-major";
  if (!has_format(*operands.y, MemoryFormat::kChannelsLast)) return "the output is row-major";
  return has_format(*operands.weights, MemoryFormat::kRowMajor) ? "" : "the weights are channels-last";
}

}  // namespace trainer
