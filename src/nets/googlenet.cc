// GoogLeNet (Szegedy et al., "Going Deeper with Convolutions", 2014) with BatchNorm and 3 x 3 convolutions in place of
// 5 x 5, as in torchvision.
#include <fmt/format.h>

#include "nets/net_kind.h"

namespace trainer {
namespace {

std::string unit(NetBuilder& net, const std::string& name, const std::string& bottom, int outputs, Window window) {
  const std::string x = net.batch_norm(name + ".bn", net.convolution(name + ".conv", bottom, outputs, window, false));
  return net.activation(name + ".relu", "ReLU", x);
}

struct Inception {
  const char* name;
  // The channels of the four branches, and of the 1 x 1 convolutions of branches 2 and 3 before them.
  int branch1, reduced2, branch2, reduced3, branch3, branch4;
};

std::string inception(NetBuilder& net, const std::string& bottom, const Inception& block) {
  const std::string name = block.name;
  net.comment(fmt::format("{}: {} channels", name, block.branch1 + block.branch2 + block.branch3 + block.branch4));
  const std::string one = unit(net, name + ".branch1", bottom, block.branch1, {1});
  std::string two = unit(net, name + ".branch2.0", bottom, block.reduced2, {1});
  two = unit(net, name + ".branch2.1", two, block.branch2, {3, 1, 1});
  std::string three = unit(net, name + ".branch3.0", bottom, block.reduced3, {1});
  three = unit(net, name + ".branch3.1", three, block.branch3, {3, 1, 1});
  std::string four = net.max_pooling(name + ".branch4.0", bottom, {3, 1, 1});
  four = unit(net, name + ".branch4.1", four, block.branch4, {1});
  return net.concat(name, {one, two, three, four});
}

}  // namespace

std::string build_googlenet(NetBuilder& net, const NetOptions& options) {
  net.batch_norm_eps = 0.001f;
  net.comment("192 channels, 1/8 of the size");
  std::string x = unit(net, "conv1", options.input, 64, {7, 2, 3});
  x = net.max_pooling("maxpool1", x, {3, 2}, true);
  x = unit(net, "conv3", unit(net, "conv2", x, 64, {1}), 192, {3, 1, 1});
  x = net.max_pooling("maxpool2", x, {3, 2}, true);
  x = inception(net, x, {"inception3a", 64, 96, 128, 16, 32, 32});
  x = inception(net, x, {"inception3b", 128, 128, 192, 32, 96, 64});
  x = net.max_pooling("maxpool3", x, {3, 2}, true);
  x = inception(net, x, {"inception4a", 192, 96, 208, 16, 48, 64});
  x = inception(net, x, {"inception4b", 160, 112, 224, 24, 64, 64});
  x = inception(net, x, {"inception4c", 128, 128, 256, 24, 64, 64});
  x = inception(net, x, {"inception4d", 112, 144, 288, 32, 64, 64});
  x = inception(net, x, {"inception4e", 256, 160, 320, 32, 128, 128});
  x = net.max_pooling("maxpool4", x, {2, 2}, true);
  x = inception(net, x, {"inception5a", 256, 160, 320, 32, 128, 128});
  x = inception(net, x, {"inception5b", 384, 192, 384, 48, 128, 128});
  net.comment("The mean of each channel, and the results");
  x = net.global_average("avgpool", x);
  net.dropout("dropout", x, 0.2f);
  return net.inner_product(options.head.empty() ? "fc" : options.head, x, options.outputs);
}

}  // namespace trainer
