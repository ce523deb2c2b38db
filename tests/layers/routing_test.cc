// Tests ArgMax, BatchReindex, Reshape, Tile and Threshold with numbers computed by hand.
#include "layers/net_run.h"

namespace trainer {
namespace {

std::string input(const std::string& name, const std::string& dims) {
  return "layer { name: \"" + name + "\" type: \"Input\" top: \"" + name + "\" input_param { shape { " + dims +
         " } } }\n";
}

TEST(ArgMax, OfEqualValuesTheLargerIndexComesFirst) {
  NetText net(input("x", "dim: 2 dim: 4") +
              "layer { name: 'a' type: 'ArgMax' bottom: 'x' top: 'y' argmax_param { top_k: 3 out_max_val: true } }");
  ASSERT_EQ(net.problems(), "");
  EXPECT_EQ(net.blob("y").shape(), (Shape{2, 2, 3}));
  expect_near(net.forward("y", {{"x", {5, 7, 7, 1, 0, -1, 3, 2}}}), {2, 1, 0, 7, 7, 5, 2, 3, 0, 3, 2, 0});
}

TEST(ArgMax, AlongAnAxis) {
  NetText net(input("x", "dim: 1 dim: 3 dim: 2") +
              "layer { name: 'a' type: 'ArgMax' bottom: 'x' top: 'y' argmax_param { axis: 1 } }");
  expect_near(net.forward("y", {{"x", {1, 9, 4, 2, 3, 8}}}), {1, 0});
}

TEST(BatchReindex, TakesAndAddsUp) {
  NetText net(input("x", "dim: 2 dim: 2") + input("i", "dim: 3") +
              "layer { name: 'r' type: 'BatchReindex' bottom: 'x' bottom: 'i' top: 'y' }");
  const Given given{{"x", {1, 2, 3, 4}}, {"i", {1, 0, 1}}};
  expect_near(net.forward("y", given), {3, 4, 1, 2, 3, 4});
  expect_near(net.gradient("y", {1, 2, 10, 20, 100, 200}, "x", given), {10, 20, 101, 202});
}

TEST(BatchReindex, AnIndexOutsideTheBatchIsNamed) {
  NetText net(input("x", "dim: 2 dim: 2") + input("i", "dim: 1") +
              "layer { name: 'r' type: 'BatchReindex' bottom: 'x' bottom: 'i' top: 'y' }");
  EXPECT_THROW(net.forward("y", {{"x", {1, 2, 3, 4}}, {"i", {2}}}), Error);
}

TEST(Reshape, KeepsAndInfers) {
  NetText net(input("x", "dim: 2 dim: 3 dim: 4") +
              "layer { name: 'r' type: 'Reshape' bottom: 'x' top: 'y' reshape_param { axis: 1 num_axes: 1 "
              "shape { dim: -1 dim: 1 } } }");
  ASSERT_EQ(net.problems(), "");
  EXPECT_EQ(net.blob("y").shape(), (Shape{2, 3, 1, 4}));
}

TEST(Tile, RepeatsWholeSlices) {
  NetText net(input("x", "dim: 1 dim: 2 dim: 2") +
              "layer { name: 't' type: 'Tile' bottom: 'x' top: 'y' tile_param { axis: 1 tiles: 2 } }");
  expect_near(net.forward("y", {{"x", {1, 2, 3, 4}}}), {1, 2, 3, 4, 1, 2, 3, 4});
  expect_near(net.gradient("y", {1, 2, 3, 4, 10, 20, 30, 40}, "x", {{"x", {1, 2, 3, 4}}}), {11, 22, 33, 44});
}

TEST(Threshold, IsStrict) {
  NetText net(input("x", "dim: 3") +
              "layer { name: 't' type: 'Threshold' bottom: 'x' top: 'y' threshold_param { threshold: 0.5 } }");
  expect_near(net.forward("y", {{"x", {0.4f, 0.5f, 0.6f}}}), {0, 0, 1});
}

TEST(Slice, AtPointsAndInEqualParts) {
  NetText net(input_layer("x", {2, 4}) + R"(
layer { name: "s" type: "Slice" bottom: "x" top: "a" top: "b" slice_param { slice_point: 1 } }
layer { name: "t" type: "Slice" bottom: "x" top: "c" top: "d" })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", {1, 2, 3, 4, 5, 6, 7, 8}}};
  expect_near(net.forward("a", given), {1, 5});
  expect_near(net.forward("b", given), {2, 3, 4, 6, 7, 8});
  expect_near(net.forward("d", given), {3, 4, 7, 8});
  expect_near(net.gradient("b", {1, 2, 3, 4, 5, 6}, "x", given), {0, 1, 2, 3, 0, 4, 5, 6});
}

TEST(Crop, OneOffsetForAllAxes) {
  NetText net(input_layer("x", {1, 1, 3, 4}) + input_layer("like", {1, 1, 2, 3}) + R"(
layer { name: "c" type: "Crop" bottom: "x" bottom: "like" top: "y" crop_param { offset: 1 } })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}}, {"like", Numbers(6, 0.0f)}};
  expect_near(net.forward("y", given), {5, 6, 7, 9, 10, 11});
  expect_near(net.gradient("y", {1, 2, 3, 4, 5, 6}, "x", given), {0, 0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6});
  EXPECT_TRUE(net.gradient("y", Numbers(6, 1.0f), "like", given).empty());
}

TEST(Reduction, AllKindsOverTrailingAxes) {
  const std::string text =
      input_layer("x", {2, 3}) + "layer { name: \"r\" type: \"Reduction\" bottom: \"x\" top: \"y\" reduction_param { ";
  const Given given{{"x", {1, -2, 0, 4, -5, 6}}};
  expect_near(NetText(text + "} }").forward("y", given), {4});
  NetText asum(text + "operation: ASUM axis: 1 coeff: 2 } }");
  expect_near(asum.forward("y", given), {6, 30});
  expect_near(asum.gradient("y", {1, 2}, "x", given), {2, -2, 0, 4, -4, 4});
  NetText sumsq(text + "operation: SUMSQ axis: -1 } }");
  expect_near(sumsq.forward("y", given), {5, 77});
  expect_near(sumsq.gradient("y", {1, 2}, "x", given), {2, -4, 0, 16, -20, 24});
  NetText mean(text + "operation: MEAN axis: 1 coeff: 3 } }");
  expect_near(mean.forward("y", given), {-1, 5});
  expect_near(mean.gradient("y", {1, 2}, "x", given), {1, 1, 1, 2, 2, 2});
}

TEST(Parameter, IsItsBlob) {
  NetText net(R"(layer { name: "p" type: "Parameter" top: "y" parameter_param { shape { dim: 2 dim: 2 } } })");
  const Given given{{"p/0", {1, 2, 3, 4}}};
  expect_near(net.forward("y", given), {1, 2, 3, 4});
  expect_near(net.gradient("y", {5, 6, 7, 8}, "p/0", given), {5, 6, 7, 8});
}

TEST(Embed, AddsUpTheGradientsOfARow) {
  NetText net(input_layer("x", {3}) +
              R"(layer { name: "e" type: "Embed" bottom: "x" top: "y" embed_param { input_dim: 3 num_output: 2 } })");
  const Given given{{"x", {2, 0, 2}}, {"e/0", {1, 2, 3, 4, 5, 6}}, {"e/1", {10, 20}}};
  expect_near(net.forward("y", given), {15, 26, 11, 22, 15, 26});
  expect_near(net.gradient("y", {1, 2, 3, 4, 5, 6}, "e/0", given), {3, 4, 0, 0, 6, 8});
  expect_near(net.gradient("y", {1, 2, 3, 4, 5, 6}, "e/1", given), {9, 12});
  ASSERT_EQ(net.net().labels.size(), 1u);
  EXPECT_EQ(net.net().labels[0].range.classes, 3);
}

// A 2 x 2 kernel on 3 x 3 with stride 2 and padding 1: columns ordered by channel, then tap.
TEST(Im2col, TapsAreChannels) {
  NetText net(
      input_layer("x", {1, 1, 3, 3}) +
      R"(layer { name: "i" type: "Im2col" bottom: "x" top: "y" convolution_param { kernel_size: 2 stride: 2 pad: 1 } })");
  ASSERT_EQ(net.blob("y").shape(), (Shape{1, 4, 2, 2}));
  const Given given{{"x", {1, 2, 3, 4, 5, 6, 7, 8, 9}}};
  expect_near(net.forward("y", given), {0, 0, 0, 5, 0, 0, 4, 6, 0, 2, 0, 8, 1, 3, 7, 9});
  expect_near(net.gradient("y", Numbers(16, 1.0f), "x", given), Numbers(9, 1.0f));
}

// Stride 2, kernel 3: the sum of overlapping copies of the kernel, scaled by x.
TEST(Deconvolution, SpreadsAndAddsUp) {
  NetText net(input_layer("x", {1, 1, 2}) + R"(
layer { name: "d" type: "Deconvolution" bottom: "x" top: "y" convolution_param { num_output: 1 kernel_size: 3 stride: 2 } })");
  ASSERT_EQ(net.problems(), "");
  ASSERT_EQ(net.blob("y").shape(), (Shape{1, 1, 5}));
  const Given given{{"x", {1, 2}}, {"d/0", {1, 10, 100}}, {"d/1", {0.5f}}};
  expect_near(net.forward("y", given), {1.5f, 10.5f, 102.5f, 20.5f, 200.5f});
  expect_near(net.gradient("y", {1, 2, 3, 4, 5}, "x", given), {321, 543});
  expect_near(net.gradient("y", {1, 2, 3, 4, 5}, "d/0", given), {7, 10, 13});
}

}  // namespace
}  // namespace trainer
