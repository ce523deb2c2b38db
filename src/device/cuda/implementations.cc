// The table of what the GPU runs each kind of op with.
#include "device/cuda/implementations.h"

#include <array>

namespace trainer::cuda {
namespace {

using List = std::vector<Implementation>;

List list_of(OpKind kind) {
  switch (kind) {
    case OpKind::kMap: return {{"interpreter", refuse_small_map, create_small_map}, {"nvrtc", refuse_map, create_map}};
    case OpKind::kConvolution:
    case OpKind::kConvolutionInputGradient:
    case OpKind::kConvolutionWeightGradient:
      return {{"cudnn", refuse_convolution, create_convolution},
              {"plain", refuse_plain_convolution, create_plain_convolution}};
    case OpKind::kMatmul:
      return {{"cublaslt", refuse_matmul, create_matmul}, {"plain", refuse_plain_matmul, create_plain_matmul}};
    case OpKind::kMaxPool:
    case OpKind::kMaxPoolGradient:
    case OpKind::kSumPool:
    case OpKind::kSumPoolGradient: return {{"plain", refuse_pool, create_pool}};
    case OpKind::kLrn:
    case OpKind::kLrnGradient: return {{"plain", refuse_lrn, create_lrn}};
    case OpKind::kRecurrence:
    case OpKind::kRecurrenceGradient: return {{"plain", refuse_recurrence, create_recurrence}};
    case OpKind::kReshape:
    case OpKind::kPermute:
    case OpKind::kSlice:
    case OpKind::kPad:
    case OpKind::kConcat:
    case OpKind::kReorder: return {{"plain", refuse_copy, create_copy}};
    case OpKind::kOpaque: return {{"host", refuse_opaque, create_opaque}};
    case OpKind::kSource:
    case OpKind::kStateRead: break;
  }
  return {};
}

}  // namespace

const std::vector<Implementation>& implementations_of(OpKind kind) {
  static const std::array<List, kOpKinds> lists = [] {
    std::array<List, kOpKinds> all;
    for (int i = 0; i < kOpKinds; ++i) all[static_cast<size_t>(i)] = list_of(static_cast<OpKind>(i));
    return all;
  }();
  return lists[static_cast<size_t>(kind)];
}

}  // namespace trainer::cuda
