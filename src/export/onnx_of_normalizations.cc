// Normalizations, scales and biases in ONNX.
#include <cmath>

#include "export/layer_to_onnx.h"

namespace trainer {
namespace {

// A blob of the layer as a view that broadcasts along the axes of bottom 0 from `first` on.
std::string along(LayerToOnnx& layer, size_t blob, int first) {
  std::vector<int64_t> dims = layer.blob(blob).shape.dims();
  while (static_cast<int>(dims.size()) < layer.rank(0) - first) dims.push_back(1);
  return layer.weights(blob, Shape(dims));
}

// The same for bottom 1.
std::string bottom_along(LayerToOnnx& layer, int first) {
  const int given = layer.rank(1), missing = layer.rank(0) - first - given;
  if (given == 0 || missing == 0) return layer.bottom(1);
  std::vector<int64_t> axes;
  for (int i = 0; i < missing; ++i) axes.push_back(given + i);
  return layer.add("Unsqueeze", {layer.bottom(1), layer.ints(axes)});
}

void scale(LayerToOnnx& layer) {
  const caffe::ScaleParameter& param = layer.param().scale_param();
  const bool learned = layer.bottoms() == 1;
  const int first = learned && param.num_axes() == 0 ? layer.rank(0) : layer.canonical(param.axis());
  const std::string factor = learned ? along(layer, 0, first) : bottom_along(layer, first);
  std::string y = layer.add("Mul", {layer.bottom(0), factor});
  if (param.bias_term()) y = layer.add("Add", {y, along(layer, layer.blobs() - 1, first)});
  layer.set_top(0, y);
}

void bias(LayerToOnnx& layer) {
  const caffe::BiasParameter& param = layer.param().bias_param();
  const bool learned = layer.bottoms() == 1;
  const int first = learned && param.num_axes() == 0 ? layer.rank(0) : layer.canonical(param.axis());
  layer.set_top(0, layer.add("Add", {layer.bottom(0), learned ? along(layer, 0, first) : bottom_along(layer, first)}));
}

std::vector<float> floats_of(const std::vector<double>& values) { return {values.begin(), values.end()}; }

void batch_norm(LayerToOnnx& layer) {
  const ChannelMap factors = statistics_factors(layer.layer());
  if (factors.scale.empty()) layer.fail("it normalizes with the statistics of the batch");
  const Shape channels{layer.extent(0, 1)};
  const auto count = static_cast<size_t>(channels.count());
  if (layer.param().type() == "BN") {
    std::vector<int64_t> dims(static_cast<size_t>(layer.rank(0) - 1), 1);
    dims[0] = channels[0];
    const std::string y = layer.add("Mul", {layer.bottom(0), layer.floats(Shape(dims), floats_of(factors.scale))});
    return layer.set_top(0, layer.add("Add", {y, layer.floats(Shape(dims), floats_of(factors.shift))}));
  }
  const float weight = layer.blob(2).data[0];
  const auto average = [&](size_t blob) {
    std::vector<float> values = layer.blob(blob).data;
    for (float& value : values) value = weight == 0 ? 0 : value / weight;
    return layer.floats(channels, std::move(values));
  };
  const std::string ones = layer.floats(channels, std::vector<float>(count, 1)),
                    zeros = layer.floats(channels, std::vector<float>(count, 0));
  layer.set_top(0, layer.add("BatchNormalization", {layer.bottom(0), ones, zeros, average(0), average(1)},
                             {{"epsilon", layer.param().batch_norm_param().eps()}}));
}

std::string mean_over(LayerToOnnx& layer, const std::string& x, const std::vector<int64_t>& axes) {
  return layer.add("ReduceMean", {x}, {{"axes", axes}, {"keepdims", int64_t{1}}});
}

// (x - mean) / sqrt(variance + eps), or / (sqrt(variance) + outer_eps).
std::string standardized(LayerToOnnx& layer, const std::string& x, const std::vector<int64_t>& axes, double eps,
                         double outer_eps = 0) {
  const std::string apart = layer.add("Sub", {x, mean_over(layer, x, axes)});
  const std::string variance = mean_over(layer, layer.add("Mul", {apart, apart}), axes);
  const std::string deviation = layer.add("Sqrt", {layer.shifted(variance, eps)});
  return layer.add("Div", {apart, layer.shifted(deviation, outer_eps)});
}

void layer_norm(LayerToOnnx& layer) {
  const caffe::LayerNormParameter& param = layer.param().layer_norm_param();
  std::vector<int64_t> axes;
  const int first = layer.canonical(param.axis());
  for (int axis = first; axis < layer.rank(0); ++axis) axes.push_back(axis);
  std::string y = standardized(layer, layer.bottom(0), axes, param.eps());
  if (param.affine()) y = layer.add("Add", {layer.add("Mul", {y, layer.weights(0)}), layer.weights(1)});
  layer.set_top(0, y);
}

void group_norm(LayerToOnnx& layer) {
  const caffe::GroupNormParameter& param = layer.param().group_norm_param();
  const OnnxDims& dims = layer.dims(0);
  const int64_t elements = layer.shape(0).count(1) / param.groups();
  const OnnxDims grouped{dims[0], param.groups(), elements};
  for (int axis = 1; axis < layer.rank(0); ++axis) layer.extent(0, axis);
  const std::string y = standardized(layer, layer.reshape(layer.bottom(0), dims, grouped), {2}, param.eps());
  std::string whole = layer.reshape(y, grouped, dims);
  if (param.affine()) whole = layer.add("Add", {layer.add("Mul", {whole, along(layer, 0, 1)}), along(layer, 1, 1)});
  layer.set_top(0, whole);
}

void mvn(LayerToOnnx& layer) {
  const caffe::MVNParameter& param = layer.param().mvn_param();
  const std::string x = layer.reshape(layer.bottom(0), layer.dims(0), layer.top_dims(0));
  const std::vector<int64_t> axes =
      param.across_channels() ? std::vector<int64_t>{1, 2, 3} : std::vector<int64_t>{2, 3};
  layer.set_top(0, param.normalize_variance() ? standardized(layer, x, axes, 0, param.eps())
                                              : layer.add("Sub", {x, mean_over(layer, x, axes)}));
}

void normalize(LayerToOnnx& layer) {
  const caffe::NormalizeParameter& param = layer.param().norm_param();
  std::vector<int64_t> axes{1};
  for (int axis = 2; param.across_spatial() && axis < layer.rank(0); ++axis) axes.push_back(axis);
  const std::string& x = layer.bottom(0);
  const std::string squares =
      layer.add("ReduceSum", {layer.add("Mul", {x, x}), layer.ints(axes)}, {{"keepdims", int64_t{1}}});
  const std::string unit = layer.add("Div", {x, layer.add("Sqrt", {layer.shifted(squares, param.eps())})});
  layer.set_top(0, layer.add("Mul", {unit, param.channel_shared() ? layer.weights(0) : along(layer, 0, 1)}));
}

// WITHIN_CHANNEL is an average pooling of squares: y = x * (1 + alpha * average)^-beta.
void lrn(LayerToOnnx& layer) {
  const caffe::LRNParameter& param = layer.param().lrn_param();
  const std::string& x = layer.bottom(0);
  const int64_t size = param.local_size(), pad = (size - 1) / 2;
  if (param.norm_region() == caffe::LRNParameter::ACROSS_CHANNELS)
    return layer.set_top(
        0,
        layer.add("LRN", {x}, {{"size", size}, {"alpha", param.alpha()}, {"beta", param.beta()}, {"bias", param.k()}}));
  const std::string average = layer.add("AveragePool", {layer.add("Mul", {x, x})},
                                        {{"kernel_shape", std::vector<int64_t>{size, size}},
                                         {"strides", std::vector<int64_t>{1, 1}},
                                         {"pads", std::vector<int64_t>{pad, pad, pad, pad}},
                                         {"count_include_pad", int64_t{1}}});
  const std::string base = layer.shifted(layer.scaled(average, param.alpha()), 1);
  layer.set_top(0, layer.add("Mul", {x, layer.add("Pow", {base, layer.number(-param.beta())})}));
}

}  // namespace

void add_normalizations(LayerTranslations* translations) {
  LayerTranslations& all = *translations;
  all["Scale"] = scale;
  all["Bias"] = bias;
  all["BatchNorm"] = all["BN"] = batch_norm;
  all["LayerNorm"] = layer_norm;
  all["GroupNorm"] = group_norm;
  all["MVN"] = mvn;
  all["Normalize"] = normalize;
  all["LRN"] = lrn;
}

}  // namespace trainer
