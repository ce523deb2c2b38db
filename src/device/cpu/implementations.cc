// The lists of the CPU.
#include "device/cpu/implementations.h"

#include "base/error.h"
#include "device/cpu/direct/direct.h"
#include "device/cpu/map_kernel.h"
#ifdef TRAINER_WITH_ONEDNN
#include "device/cpu/onednn/onednn.h"
#endif
#include "device/cpu/openblas/openblas.h"
#include "device/cpu/reference/reference.h"
#include "device/cpu/reference/widened.h"

namespace trainer::cpu {
namespace {

using List = std::vector<Implementation>;

List convolution_list(std::unique_ptr<Kernel> (*reference)(const OpInstance&)) {
  return {
      {"winograd", refuse_winograd_direct, create_winograd_direct},
      {"pointwise", refuse_pointwise_direct, create_pointwise_direct},
      {"depthwise", refuse_depthwise_rows, create_depthwise_direct},
#ifdef TRAINER_WITH_ONEDNN
      {"onednn", refuse_convolution_onednn, create_convolution_onednn},
#endif
      {"direct", refuse_depthwise_direct, create_depthwise_direct},
      {"openblas", refuse_convolution_openblas, create_convolution_openblas},
      {"reference", refuse_nothing, reference},
  };
}

List pool_list(std::unique_ptr<Kernel> (*reference)(const OpInstance&)) {
  return {{"direct", refuse_pool_direct, create_pool_direct}, {"reference", refuse_nothing, reference}};
}

List lrn_list(std::unique_ptr<Kernel> (*reference)(const OpInstance&)) {
  return {{"direct", refuse_lrn_direct, create_widened<create_lrn_direct>}, {"reference", refuse_nothing, reference}};
}

List list_of(OpKind kind) {
  switch (kind) {
    case OpKind::kSource:
    case OpKind::kStateRead: return {};
    case OpKind::kMap:
      return {{"tiles", refuse_map_tiles, create_map_tiles}, {"reference", refuse_nothing, create_map_reference}};
    case OpKind::kConvolution: return convolution_list(create_widened<create_convolution_reference>);
    case OpKind::kConvolutionInputGradient:
      return convolution_list(create_widened<create_convolution_input_gradient_reference>);
    case OpKind::kConvolutionWeightGradient:
      return convolution_list(create_widened<create_convolution_weight_gradient_reference>);
    // Measured on Zen with AVX-512, with one thread, for the sizes of inner products and their gradients (M 8 to 4096,
    // N 10 to 9216, K 8 to 9216, all transpositions): oneDNN is mostly 1.0 to 2.5 times as fast as OpenBLAS, especially
    // with few rows. It is 6 us slower for 64 x 10 x 500, and 20% slower for one transposition of 256 x 4096 x 9216.
    case OpKind::kMatmul:
      return {
#ifdef TRAINER_WITH_ONEDNN
          {"onednn", refuse_matmul_onednn, create_matmul_onednn},
#endif
          {"openblas", refuse_matmul_openblas, create_matmul_openblas},
          {"reference", refuse_nothing, create_widened<create_matmul_reference>},
      };
    case OpKind::kMaxPool: return pool_list(create_widened<create_max_pool_reference>);
    case OpKind::kMaxPoolGradient: return pool_list(create_widened<create_max_pool_gradient_reference>);
    case OpKind::kSumPool: return pool_list(create_widened<create_sum_pool_reference>);
    case OpKind::kSumPoolGradient: return pool_list(create_widened<create_sum_pool_gradient_reference>);
    case OpKind::kLrn: return lrn_list(create_widened<create_lrn_reference>);
    case OpKind::kLrnGradient: return lrn_list(create_widened<create_lrn_gradient_reference>);
    case OpKind::kRecurrence:
      return {{"direct", refuse_recurrence_direct, create_recurrence_direct},
              {"reference", refuse_nothing, create_recurrence_reference}};
    case OpKind::kRecurrenceGradient:
      return {{"direct", refuse_recurrence_direct, create_recurrence_gradient_direct},
              {"reference", refuse_nothing, create_recurrence_gradient_reference}};
    case OpKind::kReshape:
    case OpKind::kPermute:
    case OpKind::kSlice:
    case OpKind::kPad:
    case OpKind::kConcat:
    case OpKind::kReorder:
      return {{"direct", refuse_copy_direct, create_copy_direct}, {"reference", refuse_nothing, create_copy_reference}};
    case OpKind::kOpaque: return {{"reference", refuse_nothing, create_opaque}};
  }
  return {};
}

}  // namespace

const std::vector<Implementation>& implementations_of(OpKind kind) {
  static const ImplementationTable<> table(list_of);
  return table[kind];
}

}  // namespace trainer::cpu
