// Pooling: reduces windows of (N, C, H, W) along height and width.
//   MAX         the maximum; the first of equal maxima takes the gradient. Top 1, optional: its index h * W + w in the
//               plane, or -1 if the window holds no number
//   AVE         the mean; padding counts as zeros, the part of a window beyond the padding does not count
//   STOCHASTIC  in TRAIN a value drawn with a probability proportional to it; in TEST the mean of such draws,
//               sum of x^2 / sum of x, or 0 if the sum is not positive. Inputs must not be negative: use it after a
//               ReLU
// round_mode CEIL (default) keeps a last window that is clipped, FLOOR leaves it out.
#include "layers/layer.h"
#include "layers/shared/pooling_methods.h"
#include "layers/shared/pooling_window.h"

namespace trainer {
namespace {

// The index of each winner in its plane, from its offset in the window.
Value winner_index(Graph& graph, Value winner, const Shape& input, const PoolAttributes& pool) {
  const Shape& shape = winner.shape();
  const float width = static_cast<float>(pool.kernel[1]);
  const float none = winner.dtype() == DType::kU8 ? static_cast<float>(kNoWinnerU8) : static_cast<float>(kNoWinnerS32);
  const Value dh = floor((winner + 0.5f) / width);
  const Value dw = winner - dh * width;
  const Value h =
      index_along(graph, shape, 2) * static_cast<float>(pool.stride[0]) - static_cast<float>(pool.pad[0]) + dh;
  const Value w =
      index_along(graph, shape, 3) * static_cast<float>(pool.stride[1]) - static_cast<float>(pool.pad[1]) + dw;
  const Value index = h * static_cast<float>(input[3]) + w;
  return stop_gradient(select(equal(winner, none), constant(graph, Shape{}, -1), index));
}

void lower(LayerContext& context) {
  const caffe::PoolingParameter& param = context.param().pooling_param();
  const PoolingWindow window = pooling_window(context);
  const Value x = context.bottom(0);
  if (context.tops() > 1 && param.pool() != caffe::PoolingParameter::MAX)
    context.fail("top", "two tops, but pool is not MAX",
                 "the second top, the positions of the maxima, needs pool: MAX");
  switch (param.pool()) {
    case caffe::PoolingParameter::MAX: {
      const MaxPoolResult result = max_pool(x, window.attributes, window.output_size);
      context.set_top(0, result.y);
      if (context.tops() > 1)
        context.set_top(1, winner_index(context.graph(), result.winner, x.shape(), window.attributes));
      return;
    }
    case caffe::PoolingParameter::AVE: return context.set_top(0, average_pool(x, window));
    case caffe::PoolingParameter::STOCHASTIC: return context.set_top(0, stochastic_pool(context, x, window));
  }
}

REGISTER_LAYER(pooling, .type = "Pooling", .summary = "the maximum, the mean or a random value of each window",
               .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1, .max_tops = 2, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "pool" type: "Pooling" bottom: "x" top: "y" pooling_param { pool: AVE kernel_size: 3 stride: 2 } }
layer { name: "drawn" type: "Pooling" bottom: "x" top: "d" pooling_param { pool: STOCHASTIC kernel_size: 2 stride: 2 } }
layer { name: "max" type: "Pooling" bottom: "x" top: "m" top: "where" pooling_param { kernel_size: 2 stride: 2 pad: 1 } }
)");

}  // namespace
}  // namespace trainer
