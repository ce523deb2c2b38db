// DenseNet (Huang et al., "Densely Connected Convolutional Networks", 2016).
#include <fmt/format.h>

#include "nets/net_kind.h"

namespace trainer {
namespace {

// BatchNorm, ReLU and a convolution: modules norm, relu and conv with this ending of their names.
std::string unit(NetBuilder& net, const std::string& block, const std::string& ending, const std::string& bottom,
                 int outputs, Window window) {
  const std::string x = net.batch_norm(fmt::format("{}.norm{}", block, ending), bottom, true);
  net.activation(fmt::format("{}.relu{}", block, ending), "ReLU", x);
  return net.convolution(fmt::format("{}.conv{}", block, ending), x, outputs, window, false);
}

}  // namespace

std::string build_densenet121(NetBuilder& net, const NetOptions& options) {
  constexpr int kGrowth = 32;  // the channels that a layer adds
  const int layers[] = {6, 12, 24, 16};
  net.comment("64 channels, 1/4 of the size");
  int channels = 64;
  std::string x = net.convolution("features.conv0", options.input, channels, {7, 2, 3}, false);
  net.activation("features.relu0", "ReLU", net.batch_norm("features.norm0", x));
  x = net.max_pooling("features.pool0", x, {3, 2, 1});
  for (int stage = 1; stage <= 4; ++stage) {
    for (int i = 1; i <= layers[stage - 1]; ++i) {
      const std::string name = fmt::format("features.denseblock{}.denselayer{}", stage, i);
      channels += kGrowth;
      net.comment(fmt::format("denseblock{}.denselayer{}: {} channels", stage, i, channels));
      const std::string inner = unit(net, name, "1", x, 4 * kGrowth, {1});
      x = net.concat(name, {x, unit(net, name, "2", inner, kGrowth, {3, 1, 1})});
    }
    if (stage == 4) break;
    const std::string name = fmt::format("features.transition{}", stage);
    channels /= 2;
    net.comment(fmt::format("transition{}: {} channels, half the size", stage, channels));
    x = net.average_pooling(name + ".pool", unit(net, name, "", x, channels, {1}), {2, 2});
  }
  net.comment("The mean of each channel, and the results");
  x = net.activation("features.relu5", "ReLU", net.batch_norm("features.norm5", x));
  x = net.global_average("avgpool", x);
  return net.inner_product(options.head.empty() ? "classifier" : options.head, x, options.outputs);
}

}  // namespace trainer
