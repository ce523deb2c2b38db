// Slice: splits its bottom along `axis` (default 1) into one part per top: at the indices slice_point, or into equal
// parts.
#include "layers/layer.h"

namespace trainer {
namespace {

int slice_axis(LayerContext& context) {
  const caffe::SliceParameter& param = context.param().slice_param();
  const int rank = context.shape(0).rank();
  if (!param.has_slice_dim()) return context.canonical_axis(param.axis(), rank, "slice_param.axis");
  if (param.has_axis())
    context.fail("slice_param.slice_dim", "both axis and slice_dim are given", "they mean the same: keep axis");
  if (param.slice_dim() >= static_cast<uint32_t>(rank))
    context.fail("slice_param.slice_dim", fmt::format("slice_dim {} of a blob with {} axes", param.slice_dim(), rank));
  return static_cast<int>(param.slice_dim());
}

// The ends of the parts.
std::vector<int64_t> cuts(LayerContext& context, int64_t extent) {
  const caffe::SliceParameter& param = context.param().slice_param();
  const int tops = context.tops();
  std::vector<int64_t> ends;
  if (param.slice_point_size() == 0) {
    if (extent % tops != 0)
      context.fail("top",
                   fmt::format("number of top blobs ({}) should evenly divide input slice axis ({})", tops, extent),
                   "give slice_point for parts of different sizes");
    for (int i = 1; i <= tops; ++i) ends.push_back(extent / tops * i);
    return ends;
  }
  if (param.slice_point_size() != tops - 1)
    context.fail("slice_param.slice_point", fmt::format("{} slice_point for {} tops", param.slice_point_size(), tops),
                 "give one slice_point fewer than there are tops");
  ends.assign(param.slice_point().begin(), param.slice_point().end());
  ends.push_back(extent);
  for (size_t i = 0; i < ends.size(); ++i)
    if (ends[i] <= (i == 0 ? 0 : ends[i - 1]))
      context.fail("slice_param.slice_point",
                   fmt::format("part {} would end at {} and begin at {}", i, ends[i], i == 0 ? 0 : ends[i - 1]),
                   fmt::format("slice points must increase, from 1 to at most {}", extent - 1));
  return ends;
}

void lower(LayerContext& context) {
  const int axis = slice_axis(context);
  const std::vector<Value> parts = slices(context.bottom(0), axis, 0, cuts(context, context.shape(0)[axis]));
  for (size_t i = 0; i < parts.size(); ++i) context.set_top(static_cast<int>(i), parts[i]);
}

REGISTER_LAYER(slice, .type = "Slice", .summary = "splits a blob into several along an axis", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = kAnyNumber, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "slice" type: "Slice" bottom: "x" top: "y" top: "z" slice_param { slice_point: 1 } }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
