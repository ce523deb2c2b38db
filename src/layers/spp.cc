// SPP: spatial pyramid pooling. Pools (N, C, H, W) into 2^i x 2^i bins for each level i < pyramid_height and joins the
// flattened results: (N, C * sum of 4^i). Kernel and stride of a level are ceil(extent / bins); the padding is half of
// the length by which the bins exceed the bottom, rounded up. A single level gives (N, C, 1, 1).
#include "layers/layer.h"
#include "layers/shared/pooling_methods.h"
#include "layers/shared/pooling_window.h"

namespace trainer {
namespace {

constexpr uint32_t kMaxLevels = 16;

PoolingWindow level_window(LayerContext& context, uint32_t level) {
  const int64_t bins = int64_t{1} << level;
  PoolingWindow window;
  for (int axis : {2, 3}) {
    const int64_t extent = context.shape(0)[axis];
    const int64_t kernel = (extent + bins - 1) / bins, pad = (kernel * bins - extent + 1) / 2;
    if (pad >= kernel)
      context.fail("spp_param.pyramid_height",
                   fmt::format("level {} has {} bins along axis {} of \"{}\" ({})", level, bins, axis,
                               context.param().bottom(0), context.shape(0).text()),
                   "use fewer levels, or a larger input");
    window.attributes.kernel.push_back(kernel);
    window.attributes.stride.push_back(kernel);
    window.attributes.pad.push_back(pad);
  }
  const bool any_pad = window.attributes.pad[0] != 0 || window.attributes.pad[1] != 0;
  for (size_t i = 0; i < 2; ++i)
    window.output_size.push_back(pooled_extent(context.shape(0)[static_cast<int>(i) + 2], window.attributes.kernel[i],
                                               window.attributes.stride[i], window.attributes.pad[i], true, any_pad));
  if (any_pad && context.param().spp_param().pool() == caffe::SPPParameter::STOCHASTIC)
    context.fail("spp_param.pool", fmt::format("pool: STOCHASTIC, and level {} needs padding", level),
                 "use MAX or AVE");
  return window;
}

Value pooled(LayerContext& context, const PoolingWindow& window) {
  switch (context.param().spp_param().pool()) {
    case caffe::SPPParameter::AVE: return average_pool(context.bottom(0), window);
    case caffe::SPPParameter::STOCHASTIC: return stochastic_pool(context, context.bottom(0), window);
    default: return max_pool(context.bottom(0), window.attributes, window.output_size).y;
  }
}

void lower(LayerContext& context) {
  const uint32_t levels = context.param().spp_param().pyramid_height();
  if (levels == 0 || levels > kMaxLevels)
    context.fail("spp_param.pyramid_height",
                 levels == 0 ? "pyramid_height is missing or 0" : fmt::format("{} levels", levels),
                 fmt::format("give the number of levels, 1 to {}", kMaxLevels));
  if (context.shape(0).rank() != 4)
    context.fail("bottom", fmt::format("bottom \"{}\" is {}", context.param().bottom(0), context.shape(0).text()),
                 "SPP takes 4 axes: num, channels, height, width");
  std::vector<Value> parts;
  for (uint32_t level = 0; level < levels; ++level) {
    const Value y = pooled(context, level_window(context, level));
    if (levels == 1) return context.set_top(0, y);
    parts.push_back(reshape(y, Shape{y.shape()[0], y.shape().count(1)}));
  }
  context.set_top(0, concat(parts, 1));
}

REGISTER_LAYER(spp, .type = "SPP", .summary = "pools inputs of any size into a fixed number of bins", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "spp" type: "SPP" bottom: "x" top: "y" spp_param { pool: AVE pyramid_height: 2 } }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
