// Flatten: joins the axes from `axis` to end_axis into one; by default (N, C, H, W) becomes (N, C*H*W).
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::FlattenParameter& param = context.param().flatten_param();
  const Shape& input = context.shape(0);
  const int first = context.canonical_axis(param.axis(), input.rank(), "flatten_param.axis");
  const int last = context.canonical_axis(param.end_axis(), input.rank(), "flatten_param.end_axis");
  if (last < first)
    context.fail("flatten_param.end_axis", fmt::format("end_axis {} is before axis {}", last, first),
                 "axis is the first and end_axis the last of the axes to join");
  std::vector<int64_t> dims(input.dims().begin(), input.dims().begin() + first);
  dims.push_back(input.count(first, last + 1));
  dims.insert(dims.end(), input.dims().begin() + last + 1, input.dims().end());
  context.set_top(0, reshape(context.bottom(0), Shape(dims)));
}

REGISTER_LAYER(flatten, .type = "Flatten", .summary = "joins several axes into one", .min_bottoms = 1, .max_bottoms = 1,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "flatten" type: "Flatten" bottom: "x" top: "y" flatten_param { axis: 1 end_axis: 2 } }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
