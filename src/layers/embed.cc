// Embed: y = W[x] + b, a row of W for each element x of the bottom, an integer in [0, input_dim).
//   blobs  W (input_dim, num_output), b (num_output) with bias_term
//   top    the shape of the bottom, followed by num_output
#include "layers/layer.h"
#include "layers/shared/rows_by_index.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::EmbedParameter& param = context.param().embed_param();
  if (param.num_output() == 0)
    context.fail("embed_param.num_output", "num_output is missing or 0", "give the size of a row");
  if (param.input_dim() == 0)
    context.fail("embed_param.input_dim", "input_dim is missing or 0",
                 "give the number of rows: one more than the largest input");
  const int64_t rows = param.input_dim(), outputs = param.num_output();
  const Shape& input = context.shape(0);
  const Value weights = context.parameter(Shape{rows, outputs}, &param.weight_filler());
  context.require_labels(0, {rows, std::nullopt, ""});
  Value y = rows_by_index(context, weights, reshape(context.bottom(0), Shape{input.count()}));
  if (param.bias_term()) y = y + reshape(context.parameter(Shape{outputs}, &param.bias_filler()), Shape{1, outputs});
  std::vector<int64_t> dims = input.dims();
  dims.push_back(outputs);
  context.set_top(0, reshape(y, Shape(dims)));
}

REGISTER_LAYER(embed, .type = "Embed", .summary = "looks up a learned vector for each integer", .min_bottoms = 1,
               .max_bottoms = 1, .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 4 dim: 3 } } }
layer { name: "embed" type: "Embed" bottom: "x" top: "y"
  embed_param { input_dim: 6 num_output: 5 weight_filler { type: "uniform" } bias_filler { type: "uniform" } } }
)",
               .label_bottoms = {0}, .allows_in_place = false);

}  // namespace
}  // namespace trainer
