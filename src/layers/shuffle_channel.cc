// ShuffleChannel: with C channels in G groups, channel j * G + i of the top is channel i * (C / G) + j of the bottom.
//   bottom  (N, C, ...)
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const Shape& input = context.shape(0);
  const int64_t groups = context.param().shuffle_channel_param().group();
  if (input.rank() < 2 || groups < 1 || input[1] % groups != 0)
    context.fail("shuffle_channel_param.group",
                 fmt::format("{} groups for \"{}\" ({})", groups, context.param().bottom(0), input.text()),
                 "the channels, axis 1, must be a multiple of group");
  const Value grouped = reshape(context.bottom(0), Shape{input[0], groups, input[1] / groups, input.count(2)});
  context.set_top(0, reshape(permute(grouped, {0, 2, 1, 3}), input));
}

REGISTER_LAYER(shuffle_channel, .type = "ShuffleChannel", .summary = "exchanges channels between groups",
               .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 6 dim: 5 dim: 4 } } }
layer { name: "shuffle" type: "ShuffleChannel" bottom: "x" top: "y" shuffle_channel_param { group: 3 } }
)");

}  // namespace
}  // namespace trainer
