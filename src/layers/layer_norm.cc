// LayerNorm: y = gamma * (x - mean) / sqrt(variance + eps) + beta, with mean and biased variance over the axes from
// `axis` on.
//   blobs  with affine: gamma, beta, of the shape of these axes
#include "layers/shared/axis_view.h"
#include "layers/shared/standardize.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::LayerNormParameter& param = context.param().layer_norm_param();
  check_eps(context, "layer_norm_param", param.eps());
  const int rank = context.shape(0).rank();
  const CoveredAxes covered = covered_axes(context, "layer_norm_param", param.axis(), -1);
  std::vector<int> axes;
  for (int axis = covered.first; axis < rank; ++axis) axes.push_back(axis);
  const Value y = standardize(context.bottom(0), axes, param.eps()).y;
  if (!param.affine()) return context.set_top(0, y);
  const Value gamma = context.parameter(covered.shape, nullptr, 1), beta = context.parameter(covered.shape, nullptr, 0);
  context.set_top(0, y * broadcast_view(gamma, covered, rank) + broadcast_view(beta, covered, rank));
}

REGISTER_LAYER(layer_norm, .type = "LayerNorm", .summary = "normalizes each item over its last axes", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 8 } } }
layer { name: "norm" type: "LayerNorm" bottom: "x" top: "y" }
)");

}  // namespace
}  // namespace trainer
