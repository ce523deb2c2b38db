// Tests the assembly of a net: names, in-place tops, outputs, losses, sharing, Caffe's table of layers.
#include "layers/net_run.h"

namespace trainer {
namespace {

std::string ip(const std::string& name, const std::string& bottom, const std::string& top,
               const std::string& rest = "") {
  return "layer { name: \"" + name + "\" type: \"InnerProduct\" bottom: \"" + bottom + "\" top: \"" + top +
         "\" inner_product_param { num_output: 2 bias_term: false } " + rest + " }\n";
}

std::vector<std::string> output_names(const LoweredNet& net) {
  std::vector<std::string> names;
  for (const NetOutput& output : net.outputs) names.push_back(output.name);
  return names;
}

TEST(NetAssembly, ReadersTakeTheLatestVersionOfABlob) {
  NetText net(input_layer("x", {2}) + R"(
layer { name: "a" type: "Power" bottom: "x" top: "x" power_param { shift: 1 } }
layer { name: "b" type: "Power" bottom: "x" top: "x" power_param { scale: 10 } }
layer { name: "c" type: "Power" bottom: "x" top: "y" })");
  ASSERT_EQ(net.problems(), "");
  expect_near(net.forward("y", {{"x", {1, 2}}}), {20, 30});
  EXPECT_TRUE(net.net().layers[1].tops[0].in_place);
  EXPECT_EQ(output_names(net.net()), std::vector<std::string>{"y"});
}

TEST(NetAssembly, OutputsAreInByteOrder) {
  NetText net(input_layer("b", {2}) + input_layer("a", {2}) + input_layer("C", {2}));
  EXPECT_EQ(output_names(net.net()), (std::vector<std::string>{"C", "a", "b"}));
}

TEST(NetAssembly, LossesAreWeighed) {
  NetText net(input_layer("a", {2, 1}) + input_layer("b", {2, 1}) + R"(
layer { name: "l1" type: "EuclideanLoss" bottom: "a" bottom: "b" }
layer { name: "l2" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "l2" loss_weight: 0.5 }
layer { name: "p" type: "Power" bottom: "a" top: "p" loss_weight: 3 })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"a", {1, 2}}, {"b", {0, 0}}};
  // 1.25 + 0.5 * 1.25 + 3 * (1 + 2)
  expect_near(GraphRun(net.graph(), given)[net.net().loss], {10.875f});
  EXPECT_EQ(net.net().loss.shape(), Shape{});
  EXPECT_EQ(net.net().layers[2].tops[0].name, "(automatic)");
  EXPECT_EQ(output_names(net.net()), (std::vector<std::string>{"l2", "p"}));
  EXPECT_EQ(net.net().outputs[0].loss_weight, 0.5f);
}

TEST(NetAssembly, AWeightedLossThatIsReadCountsOnce) {
  NetText net(input_layer("a", {1, 1}) + input_layer("b", {1, 1}) + R"(
layer { name: "l" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "loss" loss_weight: 2 }
layer { name: "p" type: "Power" bottom: "loss" top: "copy" })");
  expect_near(GraphRun(net.graph(), {{"a", {2}}})[net.net().loss], {4});
  EXPECT_EQ(output_names(net.net()), (std::vector<std::string>{"copy", "loss_l_0_split_0"}));
}

TEST(NetAssembly, SharedParametersAreOneState) {
  NetText net(input_layer("x", {1, 2}) + ip("a", "x", "y", "param { name: \"w\" lr_mult: 3 }") +
              ip("b", "y", "z", "param { name: \"w\" decay_mult: 0 }"));
  ASSERT_EQ(net.problems(), "");
  const std::vector<ParameterInfo>& parameters = net.net().parameters;
  ASSERT_EQ(parameters.size(), 2u);
  EXPECT_TRUE(parameters[0].owner);
  EXPECT_FALSE(parameters[1].owner);
  EXPECT_EQ(parameters[1].state, "a/0");
  EXPECT_EQ(parameters[0].lr_mult, 3);
  EXPECT_EQ(parameters[0].decay_mult, 0) << "the owner adopts a value that only a sharer gives";
  EXPECT_EQ(net.graph().states.size(), 1u);
  // z = W W x with W = [[1, 2], [0, 1]]; the gradient of z0 + z1 for x = (1, 1) is computed by hand.
  const Given given{{"x", {1, 1}}, {"a/0", {1, 2, 0, 1}}};
  expect_near(net.forward("z", given), {5, 1});
  expect_near(net.gradient("z", {1, 1}, "a/0", given), {4, 2, 6, 4});
}

TEST(NetAssembly, PermissiveSharingViewsTheOwnersBlob) {
  NetText net(input_layer("x", {1, 2}) + ip("a", "x", "y", "param { name: \"w\" }") + R"(
layer { name: "b" type: "InnerProduct" bottom: "x" top: "z" param { name: "w" share_mode: PERMISSIVE }
  inner_product_param { num_output: 2 transpose: true bias_term: false } }
layer { name: "s" type: "Scale" bottom: "f" top: "g" scale_param { axis: 0 } param { name: "w" share_mode: PERMISSIVE } })" +
              "");
  EXPECT_NE(net.problems(), "");  // there is no blob "f"
  NetText good(input_layer("x", {1, 2}) + input_layer("f", {4}) + ip("a", "x", "y", "param { name: \"w\" }") +
               R"(
layer { name: "s" type: "Scale" bottom: "f" top: "g" scale_param { axis: 0 } param { name: "w" share_mode: PERMISSIVE } })");
  ASSERT_EQ(good.problems(), "");
  expect_near(good.forward("g", {{"f", {1, 1, 1, 1}}, {"a/0", {1, 2, 3, 4}}}), {1, 2, 3, 4});
  EXPECT_EQ(good.net().parameters[1].shape, Shape{4});
}

TEST(NetAssembly, LayersOfOneNameKeepTheirStatesApart) {
  NetText net(input_layer("x", {1, 2}) + ip("a", "x", "y") + ip("a", "y", "z"));
  EXPECT_NE(net.problems().find("warning: layer \"a\" (InnerProduct): another layer with learned blobs has this name"),
            std::string::npos);
  EXPECT_EQ(net.net().parameters[0].state, "a/0");
  EXPECT_EQ(net.net().parameters[1].state, "a#2/0");
}

TEST(NetAssembly, PropagateDownFalseStopsTheGradient) {
  NetText net(input_layer("x", {1, 2}) + ip("a", "x", "y") + ip("b", "y", "z", "propagate_down: false"));
  const Given given{{"x", {1, 1}}, {"a/0", {1, 2, 0, 1}}, {"b/0", {1, 2, 0, 1}}};
  EXPECT_TRUE(net.gradient("z", {1, 1}, "a/0", given).empty());
  NetText again(input_layer("x", {1, 2}) + ip("a", "x", "y") + ip("b", "y", "z", "propagate_down: false"));
  expect_near(again.gradient("z", {1, 1}, "b/0", given), {3, 1, 3, 1});
}

TEST(NetAssembly, RandomDrawsDifferByLayer) {
  const std::string dummy =
      R"(type: "DummyData" dummy_data_param { shape { dim: 3 dim: 4 } data_filler { type: "gaussian" } })";
  NetText net("layer { name: \"a\" top: \"a\" " + dummy + " } layer { name: \"b\" top: \"b\" " + dummy + " }");
  ASSERT_EQ(net.problems(), "");
  EXPECT_NE(net.forward("a", {}), net.forward("b", {}));
  EXPECT_EQ(net.forward("a", {}), net.forward("a", {}));
}

TEST(CaffeLayers, SplitsStandBehindBlobsWithSeveralReaders) {
  NetText net(input_layer("data", {2, 3}) + R"(
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip" inner_product_param { num_output: 3 } }
layer { name: "relu" type: "ReLU" bottom: "ip" top: "ip" }
layer { name: "soft" type: "Softmax" bottom: "ip" top: "p" }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "data" top: "loss" loss_weight: 2 }
layer { name: "half" type: "Power" bottom: "loss" top: "half" })");
  ASSERT_EQ(net.problems(), "");
  std::vector<std::string> text;
  for (const CaffeLayer& layer : caffe_layers(net.net()))
    text.push_back(fmt::format("{} {}: {} -> {}", layer.type, layer.name, fmt::join(layer.bottoms, ","),
                               fmt::join(layer.tops, ",")));
  EXPECT_EQ(text, (std::vector<std::string>{
                      "Input data:  -> data",
                      "Split data_data_0_split: data -> data_data_0_split_0,data_data_0_split_1",
                      "InnerProduct ip: data_data_0_split_0 -> ip",
                      "ReLU relu: ip -> ip",
                      "Split ip_relu_0_split: ip -> ip_relu_0_split_0,ip_relu_0_split_1",
                      "Softmax soft: ip_relu_0_split_0 -> p",
                      "EuclideanLoss loss: ip_relu_0_split_1,data_data_0_split_1 -> loss",
                      "Split loss_loss_0_split: loss -> loss_loss_0_split_0,loss_loss_0_split_1",
                      "Power half: loss_loss_0_split_1 -> half",
                  }));
  EXPECT_EQ(caffe_layers(net.net())[4].top_shapes, (std::vector<Shape>{{2, 3}, {2, 3}}));
}

TEST(Examples, LowerInBothPhases) {
  for (const LayerType* type : layer_types()) {
    EXPECT_NE(std::string(type->summary), "") << type->type;
    if (type->data_source) continue;
    for (caffe::Phase phase : {caffe::TRAIN, caffe::TEST}) {
      NetText net(type->example, phase);
      EXPECT_EQ(net.problems(), "") << type->type;
    }
  }
}

}  // namespace
}  // namespace trainer
