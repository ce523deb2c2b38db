// SqueezeNet 1.1 (Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters", 2016).
#include <fmt/format.h>

#include "nets/net_kind.h"

namespace trainer {
namespace {

// Few channels, then 1 x 1 and 3 x 3 convolutions of them side by side.
std::string fire(NetBuilder& net, int number, const std::string& bottom, int squeezed, int expanded) {
  const std::string name = fmt::format("features.{}", number);
  net.comment(fmt::format("{}: {} channels", name, 2 * expanded));
  const auto branch = [&](const char* part, const std::string& from, int outputs, Window window) {
    const std::string x = net.convolution(fmt::format("{}.{}", name, part), from, outputs, window);
    return net.activation(fmt::format("{}.{}_activation", name, part), "ReLU", x);
  };
  const std::string x = branch("squeeze", bottom, squeezed, {1});
  const std::string small = branch("expand1x1", x, expanded, {1});
  return net.concat(name, {small, branch("expand3x3", x, expanded, {3, 1, 1})});
}

}  // namespace

std::string build_squeezenet(NetBuilder& net, const NetOptions& options) {
  net.comment("64 channels, half the size");
  std::string x = net.convolution("features.0", options.input, 64, {3, 2});
  net.activation("features.1", "ReLU", x);
  // The number of the module, and the channels before and after the expansion.
  const int fires[][3] = {{3, 16, 64},  {4, 16, 64},   {6, 32, 128},  {7, 32, 128},
                          {9, 48, 192}, {10, 48, 192}, {11, 64, 256}, {12, 64, 256}};
  for (const auto& [number, squeezed, expanded] : fires) {
    if (number == 3 || number == 6 || number == 9)
      x = net.max_pooling(fmt::format("features.{}", number - 1), x, {3, 2}, true);
    x = fire(net, number, x, squeezed, expanded);
  }
  net.comment("The results of each position, and their means");
  net.dropout("classifier.0", x, 0.5f);
  x = net.convolution(options.head.empty() ? "classifier.1" : options.head, x, options.outputs, {1});
  net.activation("classifier.2", "ReLU", x);
  net.add("results", "Flatten", {net.global_average("classifier.3", x)});
  return "results";
}

}  // namespace trainer
