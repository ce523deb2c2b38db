// Reshape: the same elements with other axes. `shape` replaces the axes [axis, axis + num_axes). In it, 0 keeps the
// extent of the bottom's axis at that position, and one -1 is inferred from the number of elements.
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::ReshapeParameter& param = context.param().reshape_param();
  const Shape& x = context.shape(0);
  const int begin = param.axis() < 0 ? x.rank() + param.axis() + 1 : param.axis();
  if (begin < 0 || begin > x.rank())
    context.fail("reshape_param.axis",
                 fmt::format("axis {} is outside \"{}\", {}", param.axis(), context.param().bottom(0), x.text()),
                 fmt::format("give an axis from {} to {}", -x.rank() - 1, x.rank()));
  const int end = param.num_axes() == -1 ? x.rank() : begin + param.num_axes();
  if (param.num_axes() < -1 || end > x.rank())
    context.fail("reshape_param.num_axes",
                 fmt::format("num_axes is {}, and {} axes follow axis {}", param.num_axes(), x.rank() - begin, begin),
                 "-1 means all of them");
  std::vector<int64_t> dims(x.dims().begin(), x.dims().begin() + begin);
  int inferred = -1;
  for (int i = 0; i < param.shape().dim_size(); ++i) {
    int64_t dim = param.shape().dim(i);
    if (dim == 0) {
      if (begin + i >= x.rank())
        context.fail("reshape_param.shape",
                     fmt::format("dim 0 at position {} keeps an axis that \"{}\", {}, does not have", i,
                                 context.param().bottom(0), x.text()),
                     "give the extent");
      dim = x[begin + i];
    } else if (dim == -1) {
      if (inferred >= 0) context.fail("reshape_param.shape", "more than one dim is -1", "one extent can be inferred");
      inferred = static_cast<int>(dims.size());
      dim = 1;
    } else if (dim < 0) {
      context.fail("reshape_param.shape", fmt::format("dim is {}", dim),
                   "give an extent, 0 to keep one, or -1 to infer it");
    }
    dims.push_back(dim);
  }
  dims.insert(dims.end(), x.dims().begin() + end, x.dims().end());
  Shape shape(dims);
  if (inferred >= 0) {
    if (shape.count() == 0 || x.count() % shape.count() != 0)
      context.fail("reshape_param.shape",
                   fmt::format("bottom count ({}) must be divisible by the product of the specified dimensions ({})",
                               x.count(), shape.count()));
    shape[inferred] = x.count() / shape.count();
  }
  if (shape.count() != x.count())
    context.fail("reshape_param.shape",
                 fmt::format("output count must match input count: {} has {} elements, \"{}\", {}, has {}",
                             shape.text(), shape.count(), context.param().bottom(0), x.text(), x.count()));
  context.set_top(0, reshape(context.bottom(0), shape));
}

REGISTER_LAYER(reshape, .type = "Reshape", .summary = "changes the axes of a blob and keeps its elements",
               .min_bottoms = 1, .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "reshape" type: "Reshape" bottom: "x" top: "y" reshape_param { shape { dim: 0 dim: -1 dim: 4 } } }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
