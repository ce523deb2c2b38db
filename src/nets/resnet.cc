// ResNet (He et al., "Deep Residual Learning for Image Recognition", 2015) and ResNeXt (Xie et al., "Aggregated
// Residual Transformations for Deep Neural Networks", 2016), with the stride in the 3 x 3 convolutions.
#include <fmt/format.h>

#include <array>

#include "nets/net_kind.h"

namespace trainer {
namespace {

struct ResNetShape {
  std::array<int, 4> blocks;  // of each stage
  bool bottleneck = true;     // 1 x 1, 3 x 3, 1 x 1 instead of two 3 x 3
  int groups = 1;             // of the 3 x 3 convolution of a bottleneck
  int group_width = 64;       // its channels in the first stage, for each group
};

class ResNet {
 public:
  ResNet(NetBuilder& net, const ResNetShape& shape) : net_(net), shape_(shape) {}

  std::string build(const NetOptions& options) {
    net_.comment("64 channels, 1/4 of the size");
    std::string x = net_.batch_norm("bn1", net_.convolution("conv1", options.input, 64, {7, 2, 3}, false));
    x = net_.max_pooling("maxpool", net_.activation("relu", "ReLU", x), {3, 2, 1});
    channels_ = 64;
    for (int stage = 0; stage < 4; ++stage) {
      for (int i = 0; i < shape_.blocks[static_cast<size_t>(stage)]; ++i)
        x = block(fmt::format("layer{}.{}", stage + 1, i), x, 64 << stage, stage > 0 && i == 0 ? 2 : 1);
    }
    net_.comment("The mean of each channel, and the results");
    x = net_.global_average("avgpool", x);
    return net_.inner_product(options.head.empty() ? "fc" : options.head, x, options.outputs);
  }

 private:
  std::string unit(const std::string& block, const char* number, const std::string& bottom, int outputs, Window window,
                   int group = 1) {
    const std::string top =
        net_.convolution(fmt::format("{}.conv{}", block, number), bottom, outputs, window, false, group);
    return net_.batch_norm(fmt::format("{}.bn{}", block, number), top);
  }

  std::string block(const std::string& name, const std::string& bottom, int width, int stride) {
    const int outputs = shape_.bottleneck ? 4 * width : width;
    net_.comment(fmt::format("{}: {} channels{}", name, outputs, stride == 2 ? ", half the size" : ""));
    std::string shortcut = bottom;
    if (stride != 1 || channels_ != outputs) {
      shortcut = net_.convolution(name + ".downsample.0", bottom, outputs, {1, stride}, false);
      net_.batch_norm(name + ".downsample.1", shortcut);
    }
    std::string x;
    if (shape_.bottleneck) {
      const int inner = width * shape_.group_width / 64 * shape_.groups;
      x = net_.activation(name + ".relu1", "ReLU", unit(name, "1", bottom, inner, {1}));
      x = net_.activation(name + ".relu2", "ReLU", unit(name, "2", x, inner, {3, stride, 1}, shape_.groups));
      x = unit(name, "3", x, outputs, {1});
    } else {
      x = net_.activation(name + ".relu1", "ReLU", unit(name, "1", bottom, outputs, {3, stride, 1}));
      x = unit(name, "2", x, outputs, {3, 1, 1});
    }
    channels_ = outputs;
    return net_.activation(name + ".relu", "ReLU", net_.sum(name, shortcut, x));
  }

  NetBuilder& net_;
  const ResNetShape shape_;
  int channels_ = 0;  // of the last block
};

}  // namespace

std::string build_resnet18(NetBuilder& net, const NetOptions& options) {
  return ResNet(net, {.blocks = {2, 2, 2, 2}, .bottleneck = false}).build(options);
}
std::string build_resnet34(NetBuilder& net, const NetOptions& options) {
  return ResNet(net, {.blocks = {3, 4, 6, 3}, .bottleneck = false}).build(options);
}
std::string build_resnet50(NetBuilder& net, const NetOptions& options) {
  return ResNet(net, {.blocks = {3, 4, 6, 3}}).build(options);
}
std::string build_resnet101(NetBuilder& net, const NetOptions& options) {
  return ResNet(net, {.blocks = {3, 4, 23, 3}}).build(options);
}
std::string build_resnext50(NetBuilder& net, const NetOptions& options) {
  return ResNet(net, {.blocks = {3, 4, 6, 3}, .groups = 32, .group_width = 4}).build(options);
}

}  // namespace trainer
