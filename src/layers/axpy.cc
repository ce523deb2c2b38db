// Axpy: top = a * x + y, with one value of a per item and channel.
//   bottoms  a (N, C) or (N, C, 1, 1), x (N, C, ...), y of the shape of x
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const Shape &a = context.shape(0), &x = context.shape(1);
  if (context.shape(2) != x)
    context.fail("bottom[2]",
                 fmt::format("y \"{}\" is {}, but x \"{}\" is {}", context.param().bottom(2), context.shape(2).text(),
                             context.param().bottom(1), x.text()),
                 "x and y must have the same shape");
  if (x.rank() < 2 || a.rank() < 2 || a[0] != x[0] || a[1] != x[1] || a.count(2) != 1)
    context.fail("bottom[0]",
                 fmt::format("a \"{}\" is {}, and x \"{}\" is {}", context.param().bottom(0), a.text(),
                             context.param().bottom(1), x.text()),
                 "a must hold one value per item and channel of x: (N, C, 1, 1)");
  std::vector<int64_t> dims(static_cast<size_t>(x.rank()), 1);
  dims[0] = x[0];
  dims[1] = x[1];
  context.set_top(0, reshape(context.bottom(0), Shape(dims)) * context.bottom(1) + context.bottom(2));
}

REGISTER_LAYER(axpy, .type = "Axpy", .summary = "scales channels and adds another blob", .min_bottoms = 3,
               .max_bottoms = 3, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 dim: 1 dim: 1 } } }
layer { name: "x" type: "Input" top: "x" top: "y" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "axpy" type: "Axpy" bottom: "a" bottom: "x" bottom: "y" top: "z" }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
