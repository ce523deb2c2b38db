// Writes deploy.prototxt and weights.caffemodel.
#include "export/deploy_pair.h"

#include <algorithm>
#include <array>

#include "config/prototxt_text.h"
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

}  // namespace

void use_caffe_types(ExportedNet* net, const LoweredNet& lowered) {
  for (size_t i = 0; i < net->layers.size(); ++i) {
    LayerParameter& param = net->layers[i].param;
    if (param.type() == "BN") use_scale(&net->layers[i]);
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
