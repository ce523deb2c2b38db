// Reduction: reduces all axes from `axis` on: coeff times the sum of x (SUM), of |x| (ASUM) or of x^2 (SUMSQ), or the
// mean of x (MEAN). The top has the axes before `axis`.
#include "layers/layer.h"

namespace trainer {
namespace {

Value summand(Value x, caffe::ReductionParameter::ReductionOp operation) {
  switch (operation) {
    case caffe::ReductionParameter::ASUM: return abs(x);
    case caffe::ReductionParameter::SUMSQ: return x * x;
    default: return x;
  }
}

void lower(LayerContext& context) {
  const caffe::ReductionParameter& param = context.param().reduction_param();
  const Value x = context.bottom(0);
  const int rank = x.shape().rank();
  const int first = rank == 0 && (param.axis() == 0 || param.axis() == -1)
                        ? 0
                        : context.canonical_axis(param.axis(), rank, "reduction_param.axis");
  std::vector<int> axes;
  for (int axis = first; axis < rank; ++axis) axes.push_back(axis);
  float coeff = param.coeff();
  if (param.operation() == caffe::ReductionParameter::MEAN) coeff /= static_cast<float>(x.shape().count(first));
  const Shape kept(std::vector<int64_t>(x.shape().dims().begin(), x.shape().dims().begin() + first));
  if (first == 0 && param.operation() != caffe::ReductionParameter::MEAN) context.set_sum(0);
  context.set_top(0, reshape(sum(summand(x, param.operation()), axes), kept) * coeff);
}

REGISTER_LAYER(reduction, .type = "Reduction", .summary = "sums or means over the last axes", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "reduction" type: "Reduction" bottom: "x" top: "y" reduction_param { operation: SUMSQ axis: 2 coeff: 0.5 } }
)");

}  // namespace
}  // namespace trainer
