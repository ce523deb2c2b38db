// Parameter: a learned blob as a top. blob_filler fills it; by default it starts with zeros, as in Caffe.
//   blobs  one, of parameter_param.shape, by default a scalar
#include "layers/layer.h"

namespace trainer {
namespace {

void lower(LayerContext& context) {
  const caffe::ParameterParameter& param = context.param().parameter_param();
  const Shape shape(std::vector<int64_t>(param.shape().dim().begin(), param.shape().dim().end()));
  context.set_top(0, context.parameter(shape, param.has_blob_filler() ? &param.blob_filler() : nullptr));
}

REGISTER_LAYER(parameter, .type = "Parameter", .summary = "a learned blob as a top", .min_bottoms = 0, .max_bottoms = 0,
               .min_tops = 1, .max_tops = 1, .lower = lower, .example = R"(
layer { name: "parameter" type: "Parameter" top: "y" parameter_param { shape { dim: 2 dim: 3 } } }
)");

}  // namespace
}  // namespace trainer
