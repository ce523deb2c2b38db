// MatMul: y = A * B over the last two axes, for each index of the other axes, which must be equal.
//   bottoms  A (..., M, K), or (..., K, M) with transpose_a; B (..., K, N), or (..., N, K) with transpose_b
//   top      (..., M, N)
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::MatMulParameter& param = context.param().matmul_param();
  const Shape &a = context.shape(0), &b = context.shape(1);
  const int rank = a.rank();
  const auto shapes = [&] {
    return fmt::format("\"{}\" is {} and \"{}\" is {}", context.param().bottom(0), a.text(), context.param().bottom(1),
                       b.text());
  };
  if (rank < 2 || b.rank() != rank) context.fail("bottom", shapes(), "both need the same number of axes, at least 2");
  for (int axis = 0; axis + 2 < rank; ++axis)
    if (a[axis] != b[axis]) context.fail("bottom", shapes(), "all axes but the last two must be equal");
  const int64_t inner_a = a[param.transpose_a() ? rank - 2 : rank - 1],
                inner_b = b[param.transpose_b() ? rank - 1 : rank - 2];
  if (inner_a != inner_b)
    context.fail("bottom", shapes(),
                 fmt::format("the product is over {} and {} elements, which must be equal; transpose_a and transpose_b "
                             "exchange the last two axes",
                             inner_a, inner_b));
  const auto matrices = [&](Value x) {
    const Shape& s = x.shape();
    return rank <= 3 ? x : reshape(x, Shape{s.count(0, rank - 2), s[rank - 2], s[rank - 1]});
  };
  Shape shape = a;
  shape[rank - 2] = a[param.transpose_a() ? rank - 1 : rank - 2];
  shape[rank - 1] = b[param.transpose_b() ? rank - 2 : rank - 1];
  context.set_top(0, reshape(matmul(matrices(context.bottom(0)), matrices(context.bottom(1)), Value(),
                                    param.transpose_a(), param.transpose_b()),
                             shape));
}

REGISTER_LAYER(mat_mul, .type = "MatMul", .summary = "matrix products over the last two axes of two blobs",
               .min_bottoms = 2, .max_bottoms = 2, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "b" type: "Input" top: "b" input_param { shape { dim: 2 dim: 3 dim: 6 dim: 4 } } }
layer { name: "product" type: "MatMul" bottom: "a" bottom: "b" top: "y" matmul_param { transpose_b: true } }
)",
               .allows_in_place = false);

}  // namespace
}  // namespace trainer
