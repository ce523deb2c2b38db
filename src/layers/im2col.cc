// Im2col: the window of Convolution at each position as a column. (N, C, S...) becomes (N, C * K, T...), with the K
// taps of the kernel in row-major sequence and the channels outermost; elements outside the bottom are 0.
//
// Lowered as a convolution in which each channel has K filters; filter k is 1 at tap k and 0 elsewhere.
#include "layers/layer.h"
#include "layers/shared/convolution_window.h"
#include "layers/shared/given_shape.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const ConvolutionWindow window = convolution_window(context);
  if (window.spatial_axes() == 0)
    context.fail("bottom",
                 fmt::format("bottom \"{}\" ({}) has no spatial axis after channel axis {}", context.param().bottom(0),
                             context.shape(0).text(), window.axis),
                 "Im2col needs 1 to 3 spatial axes");
  const int64_t channels = context.shape(0)[window.axis];
  const int64_t taps = Shape(window.kernel).count();
  const Shape output = convolved_shape(context, window, saturating_product(channels, taps));
  check_top(context, 0, output);

  const Shape filters{channels, taps, taps};
  std::vector<int64_t> weight_dims{channels * taps, 1};
  weight_dims.insert(weight_dims.end(), window.kernel.begin(), window.kernel.end());
  const Value weights = reshape(
      equal(index_along(context.graph(), filters, 1), index_along(context.graph(), filters, 2)), Shape(weight_dims));
  ConvolutionAttributes attributes = op_attributes(window);
  attributes.group = channels;
  const Value x = reshape(context.bottom(0), folded_shape(context.shape(0), window.axis));
  context.set_top(0, reshape(convolution(x, weights, Value(), attributes), output));
}

REGISTER_LAYER(im2col, .type = "Im2col", .summary = "the windows of a convolution as columns", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "im2col" type: "Im2col" bottom: "x" top: "y" convolution_param { kernel_size: 3 pad: 1 stride: 2 } }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
