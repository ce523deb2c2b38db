// The nets of `trainer new`: their numbers of parameters are those that torchvision and timm publish.
#include "nets/net_kind.h"

#include <gtest/gtest.h>

#include "config/prototxt.h"
#include "lowering/lower_net.h"

namespace trainer {
namespace {

struct Built {
  caffe::NetParameter param;
  Positions positions;
  Diagnostics diagnostics;
  std::unique_ptr<LoweredNet> lowered;
  std::string results;  // the blob

  // Of the text, so that it parses back.
  Built(const std::string& name, const Shape& input, NetOptions options) {
    NetBuilder net(name);
    caffe::LayerParameter& layer = net.add("data", "Input", {});
    for (const int64_t extent : input.dims())
      (layer.input_param().shape_size() == 0 ? layer.mutable_input_param()->add_shape()
                                             : layer.mutable_input_param()->mutable_shape(0))
          ->add_dim(extent);
    results = find_net_kind(name)->build(net, options);
    parse_prototxt(net_text(net.take()), "net.prototxt", &param, &positions, &diagnostics);
    LowerOptions lowering;
    lowering.phase = caffe::TEST;
    lowered = lower_net(param, positions, lowering, &diagnostics);
    EXPECT_EQ(diagnostics.render(), "") << name;
  }

  int64_t parameters() const {
    int64_t count = 0;
    for (const ParameterInfo& parameter : lowered->parameters)
      count += parameter.statistic ? 0 : parameter.shape.count();
    return count;
  }
  Shape shape() const { return find_blob(*lowered, results)->value.shape(); }
};

NetOptions outputs(int number) {
  NetOptions options;
  options.outputs = number;
  return options;
}

TEST(NetKind, NumbersOfParametersAreThePublishedOnes) {
  const std::pair<const char*, int64_t> published[] = {
      {"resnet18", 11689512},    {"resnet34", 21797672},  {"resnet50", 25557032},       {"resnet101", 44549160},
      {"resnext50", 25028904},   {"vgg16", 138357544},    {"mobilenet_v1", 4231976},    {"mobilenet_v2", 3504872},
      {"mobilenet_v3", 5483032}, {"squeezenet", 1235496}, {"efficientnet_b0", 5288548}, {"googlenet", 6624904},
      {"densenet121", 7978856},  {"vit_small", 22050664},
  };
  for (const auto& [name, parameters] : published) {
    const Built net(name, {2, 3, 224, 224}, {});
    EXPECT_EQ(net.parameters(), parameters) << name;
    EXPECT_EQ(net.shape().count(), 2000) << name;
  }
  // LeNet of Caffe's example; milesial's U-Net of two classes.
  EXPECT_EQ(Built("lenet", {2, 1, 28, 28}, outputs(10)).parameters(), 431080);
  EXPECT_EQ(Built("unet", {2, 3, 64, 64}, outputs(2)).parameters(), 31037698);
}

TEST(NetKind, EachTaskHasItsResults) {
  EXPECT_EQ(Built("unet", {2, 1, 48, 32}, outputs(5)).shape(), (Shape{2, 5, 48, 32}));
  EXPECT_EQ(Built("mlp", {2, 7}, outputs(3)).shape(), (Shape{2, 3}));
  NetOptions options = outputs(3);
  options.steps = 9;
  EXPECT_EQ(Built("lstm", {2, 9, 7}, options).shape(), (Shape{2, 3}));
}

TEST(NetKind, TakesTheSmallestPictures) {
  for (const NetKind& kind : net_kinds()) {
    if (kind.task != NetTask::kPictures) continue;
    EXPECT_EQ(Built(kind.name, {2, 3, kind.least, kind.least}, outputs(4)).shape().count(), 8) << kind.name;
  }
}

TEST(NetKind, TheLastLayerHasTheGivenName) {
  for (const NetKind& kind : net_kinds()) {
    NetBuilder net(kind.name);
    NetOptions options;
    options.head = "own";
    kind.build(net, options);
    const caffe::NetParameter built = net.take().net;
    EXPECT_EQ(std::count_if(built.layer().begin(), built.layer().end(),
                            [](const caffe::LayerParameter& layer) { return layer.name() == "own"; }),
              1)
        << kind.name;
  }
}

TEST(NetKind, TheTextHasCommentsAndShortLines) {
  NetBuilder net("small");
  net.comment("one\ntwo");
  net.convolution("conv", "data", 4, {3, 2, 1}, false);
  EXPECT_EQ(net_text(net.take()), R"(name: "small"

# one
# two
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 4 bias_term: false pad: 1 kernel_size: 3 stride: 2 weight_filler { type: "msra" } }
}
)");
}

}  // namespace
}  // namespace trainer
