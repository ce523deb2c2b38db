// Folds factors and shifts of channels into the weights before them:
// (conv(x, w) + b) * s + t = conv(x, w * s) + (b * s + t).
#include <algorithm>
#include <cmath>
#include <optional>

#include "export/exported_net.h"

namespace trainer {
namespace {

using caffe::LayerParameter;

bool is_depthwise(const LayerParameter& layer) {
  return layer.type() == "DepthwiseConvolution" || layer.type() == "ConvolutionDepthwise";
}

bool is_convolution(const LayerParameter& layer) { return layer.type() == "Convolution" || is_depthwise(layer); }

// Whether the layer has weights that take factors of the channels along axis 1 of its top.
bool takes_factors(const LayerParameter& layer) {
  if (layer.bottom_size() != 1 || layer.top_size() != 1) return false;
  if (is_convolution(layer) || layer.type() == "Deconvolution") return layer.convolution_param().axis() == 1;
  return layer.type() == "InnerProduct" && layer.inner_product_param().axis() == 1;
}

std::vector<double> doubles(const WeightBlob& blob) { return {blob.data.begin(), blob.data.end()}; }

// A learned Scale or Bias along axis 1.
ChannelMap learned_factors(const ExportedLayer& layer) {
  const LayerParameter& param = layer.param;
  ChannelMap factors;
  if (param.bottom_size() != 1 || layer.blobs.empty()) return factors;
  if (param.type() == "Bias" && param.bias_param().axis() == 1 && param.bias_param().num_axes() == 1) {
    factors.shift = doubles(layer.blobs[0]);
    factors.scale.assign(factors.shift.size(), 1);
  }
  if (param.type() == "Scale" && param.scale_param().axis() == 1 && param.scale_param().num_axes() == 1) {
    factors.scale = doubles(layer.blobs[0]);
    factors.shift = layer.blobs.size() > 1 ? doubles(layer.blobs[1]) : std::vector<double>(factors.scale.size(), 0);
  }
  return factors;
}

void multiply(ExportedLayer* layer, const ChannelMap& factors) {
  LayerParameter& param = layer->param;
  const auto outputs = static_cast<int64_t>(factors.scale.size());
  WeightBlob& weights = layer->blobs[0];
  const auto channel_of = [&, count = weights.shape.count()](int64_t i) {
    if (param.type() == "InnerProduct" && param.inner_product_param().transpose()) return i % outputs;
    if (param.type() != "Deconvolution") return i / (count / outputs);
    // (inputs, outputs of a group, kernel...)
    const int64_t each = weights.shape[1], group = outputs / each, inputs = weights.shape[0];
    const int64_t input = i / weights.shape.count(1), in_group = i / weights.shape.count(2) % each;
    return input / (inputs / group) * each + in_group;
  };
  for (int64_t i = 0; i < weights.shape.count(); ++i) {
    float& weight = weights.data[static_cast<size_t>(i)];
    weight = static_cast<float>(weight * factors.scale[static_cast<size_t>(channel_of(i))]);
  }
  if (layer->blobs.size() < 2) {
    WeightBlob bias;
    bias.shape = Shape{outputs};
    bias.data.assign(static_cast<size_t>(outputs), 0);
    layer->blobs.push_back(std::move(bias));
    if (param.type() == "InnerProduct") {
      param.mutable_inner_product_param()->clear_bias_term();
    } else {
      param.mutable_convolution_param()->clear_bias_term();
    }
  }
  for (size_t o = 0; o < factors.scale.size(); ++o) {
    float& bias = layer->blobs[1].data[o];
    bias = static_cast<float>(bias * factors.scale[o] + factors.shift[o]);
  }
}

// The only layer that reads the top of layer `index`, before another layer replaces it; 0 if there are none or several.
size_t only_reader(const ExportedNet& net, size_t index) {
  const std::string& top = net.layers[index].param.top(0);
  size_t found = 0;
  for (size_t i = index + 1; i < net.layers.size(); ++i) {
    const LayerParameter& layer = net.layers[i].param;
    if (std::find(layer.bottom().begin(), layer.bottom().end(), top) != layer.bottom().end()) {
      if (found != 0) return 0;
      found = i;
    }
    if (std::find(layer.top().begin(), layer.top().end(), top) != layer.top().end()) break;
  }
  return found;
}

}  // namespace

ChannelMap statistics_factors(const ExportedLayer& layer) {
  ChannelMap factors;
  const auto& blobs = layer.blobs;
  const auto add = [&](double mean, double variance, double eps, double slope, double bias) {
    factors.scale.push_back(slope / std::sqrt(variance + eps));
    factors.shift.push_back(bias - mean * factors.scale.back());
  };
  if (layer.param.type() == "BatchNorm") {
    const caffe::BatchNormParameter& param = layer.param.batch_norm_param();
    if (param.has_use_global_stats() && !param.use_global_stats()) return factors;
    const double weight = blobs[2].data[0] == 0 ? 0 : 1 / static_cast<double>(blobs[2].data[0]);
    for (size_t c = 0; c < blobs[0].data.size(); ++c)
      add(blobs[0].data[c] * weight, blobs[1].data[c] * weight, param.eps(), 1, 0);
  }
  if (layer.param.type() == "BN" && blobs.size() == 4) {
    for (size_t c = 0; c < blobs[0].data.size(); ++c)
      add(blobs[2].data[c], blobs[3].data[c], layer.param.bn_param().eps(), blobs[0].data[c], blobs[1].data[c]);
  }
  if (layer.param.type() == "BN" && blobs.size() == 2 &&
      layer.param.bn_param().bn_mode() == caffe::BNParameter::INFERENCE) {
    factors.scale = doubles(blobs[0]);
    factors.shift = doubles(blobs[1]);
  }
  return factors;
}

void fold_channel_factors(ExportedNet* net) {
  for (size_t i = 0; i < net->layers.size(); ++i) {
    if (!takes_factors(net->layers[i].param)) continue;
    while (const size_t reader = only_reader(*net, i)) {
      const ExportedLayer& layer = net->layers[reader];
      ChannelMap factors = statistics_factors(layer);
      if (factors.scale.empty()) factors = learned_factors(layer);
      if (factors.scale.empty()) break;
      multiply(&net->layers[i], factors);
      net->layers[i].param.set_top(0, layer.param.top(0));
      net->layers.erase(net->layers.begin() + static_cast<std::ptrdiff_t>(reader));
    }
  }
}

}  // namespace trainer
