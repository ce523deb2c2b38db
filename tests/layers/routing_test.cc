// ArgMax, BatchReindex, Reshape, Tile and Threshold against numbers worked out by hand.
#include "layers/net_run.h"

namespace trainer {
namespace {

std::string input(const std::string& name, const std::string& dims) {
  return "layer { name: \"" + name + "\" type: \"Input\" top: \"" + name + "\" input_param { shape { " + dims + " } } }\n";
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
              "layer { name: 'r' type: 'Reshape' bottom: 'x' top: 'y' reshape_param { axis: 1 num_axes: 1 shape { dim: -1 dim: 1 } } }");
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

}  // namespace
}  // namespace trainer
