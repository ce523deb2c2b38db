// Concat: the bottoms joined along `axis` (default 1); all other extents are equal.
#include "layers/layer.h"

namespace trainer {
namespace {

int concat_axis(LayerContext& context) {
  const caffe::ConcatParameter& param = context.param().concat_param();
  const int rank = context.shape(0).rank();
  if (!param.has_concat_dim()) return context.canonical_axis(param.axis(), rank, "concat_param.axis");
  if (param.has_axis())
    context.fail("concat_param.concat_dim", "both axis and concat_dim are given", "they mean the same: keep axis");
  if (param.concat_dim() >= static_cast<uint32_t>(rank))
    context.fail("concat_param.concat_dim",
                 fmt::format("concat_dim {} of a blob with {} axes", param.concat_dim(), rank));
  return static_cast<int>(param.concat_dim());
}

void lower(LayerContext& context) {
  const int axis = concat_axis(context);
  const Shape& first = context.shape(0);
  std::vector<Value> parts;
  for (int i = 0; i < context.bottoms(); ++i) {
    Shape like = context.shape(i);
    const bool same_rank = like.rank() == first.rank();
    if (same_rank) like[axis] = first[axis];
    if (like != first)
      context.fail("bottom",
                   fmt::format("bottom {} \"{}\" is {}, but bottom 0 \"{}\" is {}", i, context.param().bottom(i),
                               context.shape(i).text(), context.param().bottom(0), first.text()),
                   fmt::format("all axes but axis {} must have the same extent", axis));
    parts.push_back(context.bottom(i));
  }
  context.set_top(0, concat(parts, axis));
}

REGISTER_LAYER(concat, .type = "Concat", .summary = "joins blobs along an axis", .min_bottoms = 1,
               .max_bottoms = kAnyNumber, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "b" type: "Input" top: "b" input_param { shape { dim: 2 dim: 2 dim: 5 dim: 4 } } }
layer { name: "concat" type: "Concat" bottom: "a" bottom: "b" top: "y" concat_param { axis: 1 } }
)");

}  // namespace
}  // namespace trainer
