// Writes deploy.prototxt and weights.caffemodel.
#include "export/deploy_pair.h"

#include <algorithm>
#include <array>

#include "config/prototxt_text.h"
#include "export/array_net.h"
#include "formats/weights.h"
#include "layers/layer.h"

namespace trainer {
namespace {

using caffe::LayerParameter;

constexpr std::array kCaffeTypes{
    "AbsVal",  "ArgMax",        "BNLL",    "BatchNorm", "BatchReindex", "Bias",    "Clip",      "Concat", "Convolution",
    "Crop",    "Deconvolution", "Dropout", "ELU",       "Eltwise",      "Embed",   "Exp",       "Filter", "Flatten",
    "Im2col",  "InnerProduct",  "Input",   "LRN",       "LSTM",         "Log",     "MVN",       "PReLU",  "Parameter",
    "Pooling", "Power",         "RNN",     "ReLU",      "Reduction",    "Reshape", "SPP",       "Scale",  "Sigmoid",
    "Silence", "Slice",         "Softmax", "Split",     "Swish",        "TanH",    "Threshold", "Tile"};

void use_scale(ExportedLayer* layer) {
  const ChannelMap map = statistics_factors(*layer);
  if (map.scale.empty()) return;
  layer->param.set_type("Scale");
  layer->param.clear_bn_param();
  layer->param.mutable_scale_param()->set_bias_term(true);
  layer->blobs.assign(2, WeightBlob());
  for (WeightBlob& blob : layer->blobs) blob.shape = Shape{static_cast<int64_t>(map.scale.size())};
  layer->blobs[0].data.assign(map.scale.begin(), map.scale.end());
  layer->blobs[1].data.assign(map.shift.begin(), map.shift.end());
}

// The weights as (outputs, inputs): OpenCV ignores the field `transpose`.
void transpose_back(ExportedLayer* layer) {
  caffe::InnerProductParameter& param = *layer->param.mutable_inner_product_param();
  if (!param.transpose()) return;
  param.clear_transpose();
  WeightBlob& blob = layer->blobs[0];
  const int64_t outputs = param.num_output(), inputs = blob.shape.count() / outputs;
  std::vector<float> rows;
  for (int64_t o = 0; o < outputs; ++o) {
    for (int64_t i = 0; i < inputs; ++i) rows.push_back(blob.data[static_cast<size_t>(i * outputs + o)]);
  }
  blob.shape = Shape{outputs, inputs};
  blob.data = std::move(rows);
}

// The shape of the top of a Pooling layer that rounds up.
Shape rounded_up(LayerParameter pooling, const Shape& bottom) {
  caffe::NetParameter net;
  LayerParameter& input = *net.add_layer();
  input.set_name("input");
  input.set_type("Input");
  input.add_top(pooling.bottom(0));
  caffe::BlobShape& shape = *input.mutable_input_param()->add_shape();
  for (const int64_t dim : bottom.dims()) shape.add_dim(dim);
  pooling.mutable_pooling_param()->clear_ceil_mode();
  pooling.mutable_pooling_param()->clear_round_mode();
  const GivenShapes shapes{{pooling.bottom(0), bottom}};
  *net.add_layer() = std::move(pooling);
  const std::unique_ptr<LoweredNet> lowered = try_to_lower(net, shapes);
  return lowered == nullptr ? Shape() : lowered->layers[1].tops[0].value.shape();
}

// Caffe and OpenCV round up, and have different fields for the other way. Leaves out the field if both ways give the
// same shape, and takes that of OpenCV otherwise.
void use_rounding(LayerParameter* layer, const LoweredLayer& lowered) {
  caffe::PoolingParameter& param = *layer->mutable_pooling_param();
  const bool same = rounded_up(*layer, lowered.bottoms[0].shape()) == lowered.tops[0].value.shape();
  param.clear_round_mode();
  param.clear_ceil_mode();
  if (!same) param.set_ceil_mode(false);
}

}  // namespace

void use_caffe_types(ExportedNet* net, const LoweredNet& lowered) {
  for (size_t i = 0; i < net->layers.size(); ++i) {
    LayerParameter& param = net->layers[i].param;
    if (param.type() == "BN") use_scale(&net->layers[i]);
    if (param.type() == "Pooling") use_rounding(&param, lowered.layers[i]);
    if (param.type() == "InnerProduct") transpose_back(&net->layers[i]);
    if (param.type() == "DropPath") {
      param.set_type("Dropout");
      param.clear_drop_path_param();
    }
    if (param.type() == "DepthwiseConvolution" || param.type() == "ConvolutionDepthwise") {
      param.set_type("Convolution");
      const int axis = param.convolution_param().axis(), rank = lowered.layers[i].bottoms[0].shape().rank();
      const int64_t channels = lowered.layers[i].bottoms[0].shape()[axis < 0 ? axis + rank : axis];
      param.mutable_convolution_param()->set_group(static_cast<uint32_t>(channels));
    }
  }
}

std::vector<std::string> layers_unknown_to_caffe(const ExportedNet& net) {
  std::vector<std::string> unknown;
  for (const ExportedLayer& layer : net.layers) {
    if (std::find(kCaffeTypes.begin(), kCaffeTypes.end(), layer.param.type()) == kCaffeTypes.end())
      unknown.push_back(subject_of(layer.param));
  }
  return unknown;
}

std::vector<std::string> layers_that_round_down(const ExportedNet& net) {
  std::vector<std::string> layers;
  for (const ExportedLayer& layer : net.layers) {
    if (layer.param.pooling_param().has_ceil_mode()) layers.push_back(subject_of(layer.param));
  }
  return layers;
}

void write_deploy_pair(const ExportedNet& net, AtomicFile& model, AtomicFile& weights) {
  const std::string text = prototxt_text(net.message());
  model.write(text.data(), text.size());
  std::vector<WeightLayerRef> layers;
  for (const ExportedLayer& layer : net.layers) {
    WeightLayerRef reference{layer.param.name(), &layer.param, {}};
    for (const WeightBlob& blob : layer.blobs) reference.blobs.push_back({blob.shape, blob.data.data()});
    layers.push_back(std::move(reference));
  }
  write_weights(weights, net.name, net.notes, layers);
}

}  // namespace trainer
