// VGG (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014).
#include <fmt/format.h>

#include "nets/net_kind.h"

namespace trainer {

std::string build_vgg16(NetBuilder& net, const NetOptions& options) {
  std::string x = options.input;
  int module = 0;  // of the sequence "features"
  const auto next = [&module] { return fmt::format("features.{}", module++); };
  const int stages[][2] = {{2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}};
  for (const auto& [convolutions, channels] : stages) {
    net.comment(fmt::format("{} channels, then half the size", channels));
    for (int i = 0; i < convolutions; ++i) {
      x = net.convolution(next(), x, channels, {3, 1, 1});
      net.activation(next(), "ReLU", x);
    }
    x = net.max_pooling(next(), x, {2, 2});
  }
  net.comment("Two layers of 4,096 values, and the results");
  for (const char* number : {"0", "3"}) {
    x = net.inner_product(fmt::format("classifier.{}", number), x, 4096);
    net.activation(fmt::format("classifier.{}.relu", number), "ReLU", x);
    net.dropout(fmt::format("classifier.{}.dropout", number), x, 0.5f);
  }
  return net.inner_product(options.head.empty() ? "classifier.6" : options.head, x, options.outputs);
}

}  // namespace trainer
