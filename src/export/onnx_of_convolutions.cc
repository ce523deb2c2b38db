// Convolution, DepthwiseConvolution and Deconvolution in ONNX.
#include "export/layer_to_onnx.h"

namespace trainer {
namespace {

std::vector<int64_t> each(const google::protobuf::RepeatedField<uint32_t>& values, int axes, int64_t fallback) {
  if (values.empty()) return std::vector<int64_t>(static_cast<size_t>(axes), fallback);
  if (values.size() == 1) return std::vector<int64_t>(static_cast<size_t>(axes), values.Get(0));
  return {values.begin(), values.end()};
}

void convolve(LayerToOnnx& layer, const char* type, int64_t group) {
  const caffe::ConvolutionParameter& param = layer.param().convolution_param();
  const int axes = layer.rank(0) - 2;
  if (layer.canonical(param.axis()) != 1) layer.fail(fmt::format("axis: {}", param.axis()));
  if (axes < 1) layer.fail("its bottom has no spatial axis");
  std::vector<int64_t> strides = each(param.stride(), axes, 1), pads = each(param.pad(), axes, 0);
  if (param.has_stride_h()) strides = {param.stride_h(), param.stride_w()};
  if (param.has_pad_h() || param.has_pad_w()) pads = {param.pad_h(), param.pad_w()};
  pads.insert(pads.end(), pads.begin(), pads.end());
  const std::vector<int64_t>& dims = layer.blob(0).shape.dims();
  const std::vector<OnnxAttribute> attributes{{"kernel_shape", std::vector<int64_t>(dims.begin() + 2, dims.end())},
                                              {"strides", strides},
                                              {"pads", pads},
                                              {"dilations", each(param.dilation(), axes, 1)},
                                              {"group", group}};
  for (int i = 0; i < layer.bottoms(); ++i) {
    std::vector<std::string> inputs{layer.bottom(i), layer.weights(0)};
    if (layer.blobs() > 1) inputs.push_back(layer.weights(1));
    layer.set_top(i, layer.add(type, inputs, attributes));
  }
}

void convolution(LayerToOnnx& layer) { convolve(layer, "Conv", layer.param().convolution_param().group()); }
void depthwise(LayerToOnnx& layer) { convolve(layer, "Conv", layer.extent(0, 1)); }
void deconvolution(LayerToOnnx& layer) { convolve(layer, "ConvTranspose", layer.param().convolution_param().group()); }

}  // namespace

void add_convolutions(LayerTranslations* translations) {
  (*translations)["Convolution"] = convolution;
  (*translations)["DepthwiseConvolution"] = depthwise;
  (*translations)["ConvolutionDepthwise"] = depthwise;
  (*translations)["Deconvolution"] = deconvolution;
}

}  // namespace trainer
