// InnerProduct: y = x * W^T + b, with x as a matrix (M, K): M is the product of the extents before `axis`, K of the
// others.
//   blobs  W (num_output, K), or (K, num_output) with transpose; b (num_output) with bias_term
//   top    the extents before `axis`, followed by num_output
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::InnerProductParameter& param = context.param().inner_product_param();
  const Shape& input = context.shape(0);
  const int axis = context.canonical_axis(param.axis(), input.rank(), "inner_product_param.axis");
  if (param.num_output() == 0)
    context.fail("inner_product_param.num_output", "num_output is missing or 0",
                 "give the number of outputs, for example num_output: 10");
  const int64_t rows = input.count(0, axis), inputs = input.count(axis), outputs = param.num_output();

  const Shape weight_shape = param.transpose() ? Shape{inputs, outputs} : Shape{outputs, inputs};
  const Value weights = context.parameter(weight_shape, &param.weight_filler());
  const Value bias = param.bias_term() ? context.parameter(Shape{outputs}, &param.bias_filler()) : Value();
  const Value y = matmul(reshape(context.bottom(0), Shape{rows, inputs}), weights, bias, false, !param.transpose());

  std::vector<int64_t> dims(input.dims().begin(), input.dims().begin() + axis);
  dims.push_back(outputs);
  context.set_top(0, reshape(y, Shape(dims)));
}

REGISTER_LAYER(inner_product, .type = "InnerProduct", .summary = "a fully connected layer", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 dim: 5 dim: 4 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 6 weight_filler { type: "xavier" } bias_filler { type: "uniform" } } }
)");

}  // namespace
}  // namespace trainer
