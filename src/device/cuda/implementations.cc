// The lists of the GPU.
#include "device/cuda/implementations.h"

namespace trainer::cuda {
namespace {

std::vector<Implementation> list_of(OpKind kind) {
  switch (kind) {
    case OpKind::kMap: return {interpreted_map, generated_map};
    case OpKind::kConvolution:
    case OpKind::kConvolutionInputGradient:
    case OpKind::kConvolutionWeightGradient: return {depthwise_convolution, cudnn_convolution, plain_convolution};
    case OpKind::kMatmul: return {cublaslt_matmul, plain_matmul};
    case OpKind::kMaxPool:
    case OpKind::kMaxPoolGradient:
    case OpKind::kSumPool:
    case OpKind::kSumPoolGradient: return {plain_pool};
    case OpKind::kLrn:
    case OpKind::kLrnGradient: return {plain_lrn};
    case OpKind::kRecurrence:
    case OpKind::kRecurrenceGradient: return {plain_recurrence};
    case OpKind::kPad: return {pixel_pad, repack, plain_copy};
    case OpKind::kReshape:
    case OpKind::kPermute:
    case OpKind::kConcat: return {plain_copy};
    case OpKind::kSlice:
    case OpKind::kReorder: return {repack, plain_copy};
    case OpKind::kOpaque: return {host_opaque};
    case OpKind::kSource:
    case OpKind::kStateRead: break;
  }
  return {};
}

}  // namespace

const std::vector<Implementation>& implementations_of(OpKind kind) {
  static const ImplementationTable<Context> table(list_of);
  return table[kind];
}

}  // namespace trainer::cuda
