// U-Net (Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015) with padding and
// BatchNorm: the results have the size of the picture.
#include <fmt/format.h>

#include "nets/net_kind.h"

namespace trainer {
namespace {

constexpr int kWidth = 64;  // channels at full size
constexpr int kDepth = 4;   // how often the size is halved

// Two 3 x 3 convolutions: modules 0 to 5 of `name`.
std::string double_convolution(NetBuilder& net, const std::string& name, const std::string& bottom, int outputs) {
  std::string x = bottom;
  for (int i = 0; i < 6; i += 3) {
    x = net.convolution(fmt::format("{}.double_conv.{}", name, i), x, outputs, {3, 1, 1}, false);
    net.batch_norm(fmt::format("{}.double_conv.{}", name, i + 1), x);
    net.activation(fmt::format("{}.double_conv.{}", name, i + 2), "ReLU", x);
  }
  return x;
}

// A transposed convolution to twice the size.
std::string enlarge(NetBuilder& net, const std::string& name, const std::string& bottom, int outputs) {
  caffe::ConvolutionParameter& param = *net.add(name, "Deconvolution", {bottom}).mutable_convolution_param();
  param.set_num_output(static_cast<uint32_t>(outputs));
  param.add_kernel_size(2);
  param.add_stride(2);
  param.mutable_weight_filler()->set_type("msra");
  return name;
}

}  // namespace

std::string build_unet(NetBuilder& net, const NetOptions& options) {
  net.comment(fmt::format("inc: {} channels", kWidth));
  std::vector<std::string> sizes = {double_convolution(net, "inc", options.input, kWidth)};
  for (int i = 1; i <= kDepth; ++i) {
    net.comment(fmt::format("down{}: {} channels, half the size", i, kWidth << i));
    const std::string name = fmt::format("down{}.maxpool_conv", i);
    sizes.push_back(
        double_convolution(net, name + ".1", net.max_pooling(name + ".0", sizes.back(), {2, 2}), kWidth << i));
  }
  std::string x = sizes.back();
  for (int i = 1; i <= kDepth; ++i) {
    const int channels = kWidth << (kDepth - i);
    const std::string name = fmt::format("up{}", i);
    net.comment(fmt::format("{}: {} channels, twice the size", name, channels));
    x = enlarge(net, name + ".up", x, channels);
    x = net.concat(name, {sizes[static_cast<size_t>(kDepth - i)], x});
    x = double_convolution(net, name + ".conv", x, channels);
  }
  net.comment("The results of each pixel");
  return net.convolution(options.head.empty() ? "outc.conv" : options.head, x, options.outputs, {1});
}

}  // namespace trainer
