// MobileNet (Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications",
// 2017), MobileNetV2 (Sandler et al., 2018), MobileNetV3 (Howard et al., 2019) and EfficientNet (Tan and Le, 2019):
// depthwise convolutions between 1 x 1 convolutions.
#include <fmt/format.h>

#include <algorithm>

#include "nets/net_kind.h"

namespace trainer {
namespace {

// A convolution with BatchNorm and an activation ("": none), as modules NAME.0 and NAME.1.
std::string unit(NetBuilder& net, const std::string& name, const std::string& bottom, int outputs, Window window,
                 const std::string& activation, int group = 1) {
  const std::string x =
      net.batch_norm(name + ".1", net.convolution(name + ".0", bottom, outputs, window, false, group));
  return activation.empty() ? x : net.activation(name + ".2", activation, x);
}

struct InvertedResidual {
  std::string name;  // of its sequence of modules
  int inputs, expanded, outputs, kernel, stride;
  std::string activation;
  int squeezed = 0;  // channels of squeeze and excitation; 0: none
  std::string squeeze_activation{}, gate{};
  float drop_path = 0;
};

// The channels times factors between 0 and 1, which two small layers compute from the means of all channels.
std::string squeeze_and_excitation(NetBuilder& net, const std::string& name, const std::string& x,
                                   const InvertedResidual& block) {
  std::string factors = net.convolution(name + ".fc1", net.global_average(name + ".avgpool", x), block.squeezed, {});
  net.activation(name + ".activation", block.squeeze_activation, factors);
  factors = net.convolution(name + ".fc2", factors, block.expanded, {});
  net.activation(name + ".scale_activation", block.gate, factors);
  net.add(name + ".factors", "Flatten", {factors});
  net.add(name, "Scale", {x, name + ".factors"}).mutable_scale_param()->set_axis(0);
  return name;
}

// torchvision's modules: expansion unless it keeps the channels, depthwise convolution, squeeze and excitation,
// projection.
std::string inverted_residual(NetBuilder& net, const std::string& bottom, const InvertedResidual& block) {
  int module = 0;
  const auto next = [&] { return fmt::format("{}.{}", block.name, module++); };
  std::string x = bottom;
  if (block.expanded != block.inputs) x = unit(net, next(), x, block.expanded, {1}, block.activation);
  x = unit(net, next(), x, block.expanded, {block.kernel, block.stride, block.kernel / 2}, block.activation,
           block.expanded);
  if (block.squeezed > 0) x = squeeze_and_excitation(net, next(), x, block);
  x = unit(net, next(), x, block.outputs, {1}, "");
  if (block.stride != 1 || block.inputs != block.outputs) return x;
  if (block.drop_path > 0)
    net.add_in_place(block.name + ".stochastic_depth", "DropPath", x)
        .mutable_drop_path_param()
        ->set_drop_ratio(block.drop_path);
  return net.sum(block.name + ".sum", bottom, x);
}

std::string block_comment(const std::string& name, int channels, int stride) {
  return fmt::format("{}: {} channels{}", name, channels, stride == 2 ? ", half the size" : "");
}

}  // namespace

std::string build_mobilenet_v1(NetBuilder& net, const NetOptions& options) {
  net.comment("32 channels, half the size");
  std::string x = net.batch_norm("bn1", net.convolution("conv_stem", options.input, 32, {3, 2, 1}, false));
  net.activation("bn1.act", "ReLU6", x);
  int channels = 32;
  const int stages[][2] = {{64, 1}, {128, 2}, {256, 2}, {512, 6}, {1024, 2}};
  int stage = 0;
  for (const auto& [outputs, blocks] : stages) {
    for (int i = 0; i < blocks; ++i) {
      const std::string name = fmt::format("blocks.{}.{}", stage, i);
      const int stride = stage > 0 && i == 0 ? 2 : 1;
      net.comment(block_comment(name, outputs, stride));
      x = net.batch_norm(name + ".bn1",
                         net.convolution(name + ".conv_dw", x, channels, {3, stride, 1}, false, channels));
      net.activation(name + ".bn1.act", "ReLU6", x);
      x = net.batch_norm(name + ".bn2", net.convolution(name + ".conv_pw", x, outputs, {1}, false));
      net.activation(name + ".bn2.act", "ReLU6", x);
      channels = outputs;
    }
    ++stage;
  }
  net.comment("The mean of each channel, and the results");
  x = net.global_average("global_pool", x);
  return net.inner_product(options.head.empty() ? "classifier" : options.head, x, options.outputs);
}

std::string build_mobilenet_v2(NetBuilder& net, const NetOptions& options) {
  net.comment("32 channels, half the size");
  std::string x = unit(net, "features.0", options.input, 32, {3, 2, 1}, "ReLU6");
  // Expansion, channels, blocks, stride of the first one.
  const int stages[][4] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                           {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  int channels = 32, number = 1;
  for (const auto& [expansion, outputs, blocks, first_stride] : stages) {
    for (int i = 0; i < blocks; ++i, ++number) {
      const std::string name = fmt::format("features.{}.conv", number);
      const int stride = i == 0 ? first_stride : 1, inner = expansion * channels;
      net.comment(block_comment(fmt::format("features.{}", number), outputs, stride));
      const std::string bottom = x;
      int module = 0;
      const auto next = [&] { return fmt::format("{}.{}", name, module++); };
      if (expansion != 1) x = unit(net, next(), x, inner, {1}, "ReLU6");
      x = unit(net, next(), x, inner, {3, stride, 1}, "ReLU6", inner);
      x = net.convolution(next(), x, outputs, {1}, false);
      net.batch_norm(next(), x);
      if (stride == 1 && channels == outputs) x = net.sum(name + ".sum", bottom, x);
      channels = outputs;
    }
  }
  net.comment("1,280 channels, their means, and the results");
  x = net.global_average("avgpool", unit(net, "features.18", x, 1280, {1}, "ReLU6"));
  net.dropout("classifier.0", x, 0.2f);
  return net.inner_product(options.head.empty() ? "classifier.1" : options.head, x, options.outputs);
}

std::string build_mobilenet_v3(NetBuilder& net, const NetOptions& options) {
  struct Row {
    int kernel, expanded, outputs;
    bool squeezed;
    const char* activation;
    int stride;
  };
  const char* const relu = "ReLU";
  const char* const swish = "HardSwish";
  const Row rows[] = {{3, 16, 16, false, relu, 1},   {3, 64, 24, false, relu, 2},   {3, 72, 24, false, relu, 1},
                      {5, 72, 40, true, relu, 2},    {5, 120, 40, true, relu, 1},   {5, 120, 40, true, relu, 1},
                      {3, 240, 80, false, swish, 2}, {3, 200, 80, false, swish, 1}, {3, 184, 80, false, swish, 1},
                      {3, 184, 80, false, swish, 1}, {3, 480, 112, true, swish, 1}, {3, 672, 112, true, swish, 1},
                      {5, 672, 160, true, swish, 2}, {5, 960, 160, true, swish, 1}, {5, 960, 160, true, swish, 1}};
  net.batch_norm_eps = 0.001f;
  net.batch_norm_fraction = 0.99f;
  net.comment("16 channels, half the size");
  std::string x = unit(net, "features.0", options.input, 16, {3, 2, 1}, swish);
  int channels = 16, number = 1;
  for (const Row& row : rows) {
    const std::string name = fmt::format("features.{}", number++);
    net.comment(block_comment(name, row.outputs, row.stride));
    InvertedResidual block{name + ".block", channels,   row.expanded,  row.outputs,
                           row.kernel,      row.stride, row.activation};
    // A quarter of the channels, rounded to a multiple of 8, but not by more than a tenth down.
    const int quarter = row.expanded / 4, rounded = std::max(8, (quarter + 4) / 8 * 8);
    if (row.squeezed) block.squeezed = rounded * 10 < quarter * 9 ? rounded + 8 : rounded;
    block.squeeze_activation = relu;
    block.gate = "HardSigmoid";
    x = inverted_residual(net, x, block);
    channels = row.outputs;
  }
  net.comment("960 channels, their means, 1,280 values, and the results");
  x = net.global_average("avgpool", unit(net, "features.16", x, 960, {1}, swish));
  x = net.inner_product("classifier.0", x, 1280);
  net.activation("classifier.1", swish, x);
  net.dropout("classifier.2", x, 0.2f);
  return net.inner_product(options.head.empty() ? "classifier.3" : options.head, x, options.outputs);
}

std::string build_efficientnet_b0(NetBuilder& net, const NetOptions& options) {
  // Expansion, kernel, stride of the first block, channels, blocks.
  const int stages[][5] = {{1, 3, 1, 16, 1},  {6, 3, 2, 24, 2},  {6, 5, 2, 40, 2}, {6, 3, 2, 80, 3},
                           {6, 5, 1, 112, 3}, {6, 5, 2, 192, 4}, {6, 3, 1, 320, 1}};
  constexpr int kBlocks = 16;
  net.comment("32 channels, half the size");
  std::string x = unit(net, "features.0", options.input, 32, {3, 2, 1}, "Swish");
  int channels = 32, stage = 1, done = 0;
  for (const auto& [expansion, kernel, first_stride, outputs, blocks] : stages) {
    for (int i = 0; i < blocks; ++i, ++done) {
      const std::string name = fmt::format("features.{}.{}", stage, i);
      InvertedResidual block{name + ".block",           channels, expansion * channels, outputs, kernel,
                             i == 0 ? first_stride : 1, "Swish"};
      net.comment(block_comment(name, outputs, block.stride));
      block.squeezed = channels / 4;
      block.squeeze_activation = "Swish";
      block.gate = "Sigmoid";
      block.drop_path = 0.2f * static_cast<float>(done) / kBlocks;
      x = inverted_residual(net, x, block);
      channels = outputs;
    }
    ++stage;
  }
  net.comment("1,280 channels, their means, and the results");
  x = net.global_average("avgpool", unit(net, "features.8", x, 1280, {1}, "Swish"));
  net.dropout("classifier.0", x, 0.2f);
  return net.inner_product(options.head.empty() ? "classifier.1" : options.head, x, options.outputs);
}

}  // namespace trainer
