// Tests Pooling with numbers from numpy, by Caffe's rules for sizes and divisors.
#include "layers/net_run.h"
#include "layers/shared/pooling_window.h"

namespace trainer {
namespace {

std::string pooling(const std::string& fields, const std::string& tops = "top: \"y\"") {
  return input_layer("x", {1, 1, 4, 5}) + "layer { name: \"pool\" type: \"Pooling\" bottom: \"x\" " + tops +
         " pooling_param { " + fields + " } }";
}

TEST(Pooling, AverageCountsPaddingButNotWhatLiesBeyond) {
  NetText net(pooling("pool: AVE kernel_size: 3 stride: 2 pad: 1"));
  const Given given{{"x", uneven(20)}};
  EXPECT_EQ(net.blob("y").shape(), (Shape{1, 1, 3, 3}));
  expect_near(net.forward("y", given),
              {-0.02222222f, 0.02222222f, 0.3555556f, 0.2444444f, -0.2333333f, -0.1f, 0.3666667f, 0.25f, -0.03333333f});
  expect_near(net.gradient("y", uneven(9, 0.7f), "x", given),
              {-0.07f,      -0.1711111f,  -0.1011111f,  -0.2333333f, -0.1322222f, 0.08555556f, 0.1088889f,
               0.02333333f, -0.01555556f, -0.03888889f, 0.1555556f,  0.28f,       0.1244444f,  0.2177778f,
               0.09333333f, 0.2488889f,   0.42f,        0.1711111f,  0.2644444f,  0.09333333f});
}

TEST(Pooling, AverageOfWindowsCutOffAtTheEnd) {
  NetText net(pooling("pool: AVE kernel_h: 3 kernel_w: 2 stride: 2"));
  const Given given{{"x", uneven(20)}};
  EXPECT_EQ(net.blob("y").shape(), (Shape{1, 1, 2, 3}));
  expect_near(net.forward("y", given), {-0.3666667f, -0.4833333f, 0.9666667f, 0.05f, -0.75f, 0.7f});
  expect_near(
      net.gradient("y", uneven(6, 0.7f), "x", given),
      {-0.105f, -0.105f, -0.1516667f, -0.1516667f, -0.3966667f, -0.105f, -0.105f, -0.1516667f, -0.1516667f, -0.3966667f,
       0.245f,  0.245f,  0.1283333f,  0.1283333f,  0.02333333f, 0.35f,   0.35f,   0.28f,       0.28f,       0.42f});
}

TEST(Pooling, GlobalAverageIsTheMean) {
  NetText net(pooling("pool: AVE global_pooling: true"));
  Numbers x(20);
  for (size_t i = 0; i < 20; ++i) x[i] = static_cast<float>(i);
  expect_near(net.forward("y", {{"x", x}}), {9.5f});
  expect_near(net.gradient("y", {2}, "x", {{"x", x}}), Numbers(20, 0.1f));
}

TEST(Pooling, MaximumAndItsPlace) {
  NetText net(pooling("kernel_size: 2 stride: 2 pad: 1", "top: \"y\" top: \"where\""));
  const Given given{{"x", uneven(20)}};
  expect_near(net.forward("y", given), {-0.9f, -1.3f, 2, 1.2f, 0.8f, 1.7f, 1.3f, 0.9f, 0.1f});
  expect_near(net.forward("where", given), {0, 1, 3, 5, 6, 14, 15, 16, 18});
}

TEST(Pooling, PlaceInAWindowOfMoreThan255Pixels) {
  NetText net(
      input_layer("x", {1, 1, 18, 17}) +
      R"(layer { name: "pool" type: "Pooling" bottom: "x" top: "y" top: "where" pooling_param { global_pooling: true } })");
  Numbers x(18 * 17, 0.0f);
  x[291] = 3;
  expect_near(net.forward("where", {{"x", x}}), {291});
}

TEST(Pooling, StochasticInTestIsTheExpectedValue) {
  NetText net(pooling("pool: STOCHASTIC kernel_size: 2 stride: 2"), caffe::TEST);
  const Numbers x{0, 0, 1.7f, 2, 1.6f, 0, 0, 0.4f, 0, 0.4f, 0.8f, 1.2f, 1.6f, 2, 1.7f, 1.3f, 0.9f, 0.5f, 0.1f, 0.3f};
  expect_near(net.forward("y", {{"x", x}}), {0, 1.719512f, 1.36f, 1.090476f, 1.62381f, 1.49f});
}

TEST(Pooling, NumberOfWindows) {
  EXPECT_EQ(pooled_extent(24, 2, 2, 0, true, false), 12);
  EXPECT_EQ(pooled_extent(32, 3, 2, 0, true, false), 16);
  EXPECT_EQ(pooled_extent(32, 3, 2, 0, false, false), 15);
  EXPECT_EQ(pooled_extent(112, 3, 2, 1, true, true), 57);
  EXPECT_EQ(pooled_extent(112, 3, 2, 1, false, true), 56);
  EXPECT_EQ(pooled_extent(4, 2, 4, 1, true, true), 2);
  EXPECT_EQ(pooled_extent(2, 2, 4, 1, true, true), 1);  // a second window would begin after the padding
  EXPECT_EQ(pooled_extent(2, 3, 2, 0, true, false), 1);
  EXPECT_EQ(pooled_extent(2, 3, 2, 0, false, false), 0);
}

TEST(SPP, JoinsFlattenedLevels) {
  NetText net(input_layer("x", {1, 1, 4, 3}) + R"(
layer { name: "s" type: "SPP" bottom: "x" top: "y" spp_param { pyramid_height: 2 } }
layer { name: "t" type: "SPP" bottom: "x" top: "z" spp_param { pyramid_height: 1 pool: AVE } })");
  ASSERT_EQ(net.problems(), "");
  EXPECT_EQ(net.blob("y").shape(), (Shape{1, 5}));
  EXPECT_EQ(net.blob("z").shape(), (Shape{1, 1, 1, 1}));
  const Given given{{"x", {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}};
  expect_near(net.forward("z", given), {6.5f});
  // 2 x 2 bins with one column of padding on each side: columns {0} and {1, 2}.
  expect_near(net.forward("y", given), {12, 4, 6, 10, 12});
}

TEST(StochasticPooling, DrawsInProportionAndSendsTheGradientBack) {
  const int windows = 4000;
  NetText net(
      input_layer("x", {windows, 1, 2, 2}) +
      R"(layer { name: "p" type: "Pooling" bottom: "x" top: "y" pooling_param { pool: STOCHASTIC kernel_size: 2 } })");
  ASSERT_EQ(net.problems(), "");
  Numbers x;
  for (int i = 0; i < windows; ++i) x.insert(x.end(), {1, 0, 3, 6});
  const Given given{{"x", x}};
  const Numbers y = net.forward("y", given);
  std::map<float, int> drawn;
  for (float value : y) ++drawn[value];
  EXPECT_EQ(drawn[0], 0);
  EXPECT_NEAR(drawn[1], windows * 0.1, 80);
  EXPECT_NEAR(drawn[3], windows * 0.3, 120);
  EXPECT_NEAR(drawn[6], windows * 0.6, 130);
  const Numbers gradient = net.gradient("y", Numbers(windows, 1.0f), "x", given);
  for (int i = 0; i < windows; ++i) {
    for (int k = 0; k < 4; ++k) {
      const size_t at = static_cast<size_t>(i * 4 + k);
      EXPECT_EQ(gradient[at], x[at] == y[static_cast<size_t>(i)] ? 1.0f : 0.0f);
    }
  }
  EXPECT_NE(GraphRun(net.graph(), given, 1)[net.blob("y")], y);
}

}  // namespace
}  // namespace trainer
