// Tests Convolution, InnerProduct, Scale and Bias with numbers from numpy.
#include "layers/net_run.h"

namespace trainer {
namespace {

TEST(Convolution, OneSpatialAxisInTwoGroups) {
  NetText net(input_layer("x", {2, 4, 6}) + R"(
layer { name: "conv" type: "Convolution" bottom: "x" top: "y"
  convolution_param { num_output: 4 kernel_size: 3 stride: 2 pad: 1 group: 2 } })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", uneven(48)}, {"conv/0", uneven(24, 0.3f)}, {"conv/1", {0.1f, -0.2f, 0.3f, 0.4f}}};
  EXPECT_EQ(net.blob("y").shape(), (Shape{2, 4, 3}));
  EXPECT_EQ(net.net().parameters[0].shape, (Shape{4, 2, 3}));
  expect_near(net.forward("y", given), {1.642f,  0.19f,   -2.732f, -0.644f, -0.62f,  1.144f,  0.222f,  0.432f,
                                        -1.728f, 1.09f,   0.955f,  2.374f,  -1.964f, -2.894f, 0.334f,  0.52f,
                                        1.36f,   -0.812f, -0.609f, -0.15f,  1.257f,  1.708f,  -0.836f, -0.893f});
  expect_near(
      net.gradient("y", uneven(24, 0.7f), "conv/0", given),
      {-2.443f, -2.968f, -5.075f, -0.63f,  5.341f,  6.965f,  1.316f,  0.518f,  3.01f,  -1.148f, -0.315f, -2.415f,
       -0.658f, -0.161f, -0.245f, -0.511f, -1.239f, -1.323f, -0.574f, -1.757f, 0.175f, 0.749f,  -1.071f, 0.861f});
  expect_near(net.gradient("y", uneven(24, 0.7f), "conv/1", given), {-4.06f, 5.25f, 0.21f, -4.83f});
}

TEST(Convolution, ChannelsOnAnotherAxis) {
  NetText net(input_layer("x", {2, 1, 3, 4}) + R"(
layer { name: "conv" type: "Convolution" bottom: "x" top: "y"
  convolution_param { axis: 2 num_output: 2 kernel_size: 2 bias_term: false } })");
  const Given given{{"x", uneven(24)}, {"conv/0", uneven(12, 0.3f)}};
  EXPECT_EQ(net.blob("y").shape(), (Shape{2, 1, 2, 3}));
  expect_near(net.forward("y", given),
              {0.51f, 0.402f, -1.305f, -0.372f, -0.228f, 0.408f, 0.321f, -1.386f, -2.601f, -0.12f, 0.516f, 1.644f});
}

TEST(Convolution, NoSpatialAxisIsAProduct) {
  NetText net(input_layer("x", {2, 3}) + R"(
layer { name: "conv" type: "Convolution" bottom: "x" top: "y" convolution_param { num_output: 2 kernel_size: 5 } })");
  EXPECT_EQ(net.blob("y").shape(), (Shape{2, 2}));
  EXPECT_EQ(net.net().parameters[0].shape, (Shape{2, 3}));
  expect_near(net.forward("y", {{"x", {1, 2, 3, 4, 5, 6}}, {"conv/0", {1, 0, 0, 1, 1, 1}}, {"conv/1", {10, 20}}}),
              {11, 26, 14, 35});
}

TEST(Convolution, SeveralBottomsShareTheWeights) {
  NetText net(input_layer("a", {1, 1, 2, 2}) + input_layer("b", {1, 1, 2, 2}) + R"(
layer { name: "conv" type: "Convolution" bottom: "a" bottom: "b" top: "y" top: "z"
  convolution_param { num_output: 1 kernel_size: 2 bias_term: false } })");
  EXPECT_EQ(net.net().parameters.size(), 1u);
  const Given given{{"a", {1, 2, 3, 4}}, {"b", {1, 1, 1, 1}}, {"conv/0", {1, 10, 100, 1000}}};
  expect_near(net.forward("y", given), {4321});
  expect_near(net.forward("z", given), {1111});
}

TEST(InnerProduct, AlongTheLastAxisTransposed) {
  NetText net(input_layer("x", {2, 2, 3}) + R"(
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y"
  inner_product_param { num_output: 2 axis: -1 transpose: true } })");
  const Given given{{"x", uneven(12)}, {"ip/0", uneven(6, 0.5f)}, {"ip/1", {0.5f, -0.5f}}};
  EXPECT_EQ(net.blob("y").shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(net.net().parameters[0].shape, (Shape{3, 2}));
  expect_near(net.forward("y", given), {0.65f, -2.235f, -0.8f, 0.52f, -0.2f, -0.62f, 0.4f, -1.76f});
  expect_near(net.gradient("y", uneven(8, 0.7f), "ip/0", given), {-1.141f, 4.179f, -1.085f, 3.535f, -1.029f, 2.891f});
}

TEST(InnerProduct, FoldsAllAxesBehindTheFirst) {
  NetText net(input_layer("x", {2, 3, 1, 2}) + R"(
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" inner_product_param { num_output: 4 bias_term: false } })");
  EXPECT_EQ(net.blob("y").shape(), (Shape{2, 4}));
  EXPECT_EQ(net.net().parameters[0].shape, (Shape{4, 6}));
}

TEST(Scale, LearnedAlongTheFirstAxesWithABias) {
  NetText net(input_layer("x", {2, 3, 2}) + R"(
layer { name: "s" type: "Scale" bottom: "x" top: "y" scale_param { axis: 0 num_axes: 2 bias_term: true } })");
  const Given given{{"x", uneven(12)}, {"s/0", uneven(6, 0.5f)}, {"s/1", uneven(6, 0.25f)}};
  EXPECT_EQ(net.net().parameters[0].shape, (Shape{2, 3}));
  EXPECT_EQ(net.net().parameters[0].filler.value(), 1);
  expect_near(net.forward("y", given),
              {0.18f, 0.36f, 0.78f, -1.625f, -1.785f, -1.445f, 1.3f, 0.9f, 0.4f, 0.08f, -0.18f, -0.42f});
  expect_near(net.gradient("y", uneven(12, 0.7f), "s/0", given), {1.75f, 4.823f, 2.8f, 0.56f, 0.112f, 1.456f});
  expect_near(net.gradient("y", uneven(12, 0.7f), "s/1", given), {-1.54f, 0.21f, 1.96f, 0.84f, -0.28f, -1.4f});
}

TEST(Scale, ByASecondBottomAndByAScalar) {
  NetText net(input_layer("x", {2, 2}) + input_layer("c", {2}) + input_layer("k", {}) + R"(
layer { name: "s" type: "Scale" bottom: "x" bottom: "c" top: "y" scale_param { axis: 0 } }
layer { name: "t" type: "Scale" bottom: "x" bottom: "k" top: "z" }
layer { name: "u" type: "Scale" bottom: "x" top: "w" scale_param { num_axes: 0 filler { value: 3 } } })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", {1, 2, 3, 4}}, {"c", {10, 100}}, {"k", {-1}}, {"u/0", {3}}};
  expect_near(net.forward("y", given), {10, 20, 300, 400});
  expect_near(net.forward("z", given), {-1, -2, -3, -4});
  expect_near(net.forward("w", given), {3, 6, 9, 12});
  expect_near(net.gradient("y", {1, 1, 1, 1}, "c", given), {3, 7});
  expect_near(net.gradient("z", {1, 1, 1, 1}, "k", given), {10});
}

TEST(Bias, LearnedAndGiven) {
  NetText net(input_layer("x", {2, 2}) + input_layer("b", {2}) + R"(
layer { name: "l" type: "Bias" bottom: "x" top: "y" }
layer { name: "g" type: "Bias" bottom: "x" bottom: "b" top: "z" })");
  const Given given{{"x", {1, 2, 3, 4}}, {"b", {10, 20}}, {"l/0", {5, 6}}};
  expect_near(net.forward("y", given), {6, 8, 8, 10});
  expect_near(net.forward("z", given), {11, 22, 13, 24});
  expect_near(net.gradient("y", {1, 2, 3, 4}, "l/0", given), {4, 6});
}

}  // namespace
}  // namespace trainer
