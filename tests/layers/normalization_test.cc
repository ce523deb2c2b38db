// Tests BatchNorm and LRN with numbers from numpy in double precision; gradients from finite differences in numpy.
#include <algorithm>

#include "layers/net_run.h"

namespace trainer {
namespace {

const std::string kBatchNorm = input_layer("x", {2, 2, 1, 3}) + R"(
layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y"
  batch_norm_param { eps: 0.01 moving_average_fraction: 0.9 } })";

TEST(BatchNorm, NormalizesByTheBatchAndMovesItsStatistics) {
  NetText net(kBatchNorm);
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", uneven(12)}, {"bn/0", {1, 2}}, {"bn/1", {3, 4}}, {"bn/2", {2}}};
  expect_near(net.forward("y", given), {-0.491234f, -0.9278864f, -1.364539f, 1.282396f, 0.961797f, 0.641198f, 1.364539f,
                                        0.9278864f, 0.491234f, -0.641198f, -0.961797f, -1.282396f});
  const GraphRun run(net.graph(), given);
  expect_near(run.written("bn/0"), {0.45f, 2.2f});
  expect_near(run.written("bn/1"), {3.695f, 5.456f});
  expect_near(run.written("bn/2"), {2.8f});
  expect_near(net.gradient("y", uneven(12, 0.7f), "x", given),
              {-0.004097682f, -0.007740065f, -0.01138245f, 0.005766663f, 0.004324997f, 0.002883332f, 0.01138245f,
               0.007740065f, 0.004097682f, -0.002883332f, -0.004324997f, -0.005766663f});
}

TEST(BatchNorm, KeepsItsDigitsFarFromZero) {
  NetText net(kBatchNorm);
  // Each channel holds 1000 to 1002.5 in steps of 0.5: mean 1001.25, variance 35/48.
  const Numbers x{1000, 1001, 1002, 1002.5f, 1000.5f, 1001.5f, 1000.5f, 1001.5f, 1002.5f, 1002, 1001, 1000};
  Numbers expected;
  for (float value : x) expected.push_back((value - 1001.25f) * 1.163136f);
  expect_near(net.forward("y", {{"x", x}, {"bn/0", {0, 0}}, {"bn/1", {0, 0}}, {"bn/2", {0}}}), expected);
}

TEST(BatchNorm, UsesGlobalStatisticsInTest) {
  NetText net(kBatchNorm, caffe::TEST);
  const Given given{{"x", uneven(12)}, {"bn/0", {1, 2}}, {"bn/1", {3, 4}}, {"bn/2", {2}}};
  expect_near(net.forward("y", given), {-1.139304f, -1.464819f, -1.790335f, 0.7053456f, 0.4232074f, 0.1410691f,
                                        0.2441365f, -0.08137885f, -0.4068942f, -0.9874839f, -1.269622f, -1.55176f});
  EXPECT_TRUE(net.graph().writes.empty());
  // No batch has been counted: mean and variance are 0.
  expect_near(net.forward("y", {{"x", Numbers(12, 2.0f)}}), Numbers(12, 20.0f));
}

TEST(BatchNorm, KeepsItsBlobsOutOfTraining) {
  NetText net(kBatchNorm);
  ASSERT_EQ(net.net().parameters.size(), 3u);
  for (const ParameterInfo& parameter : net.net().parameters) {
    EXPECT_TRUE(parameter.statistic);
    EXPECT_EQ(parameter.lr_mult, 0);
    EXPECT_EQ(parameter.decay_mult, 1);
  }
  EXPECT_EQ(net.net().parameters[2].state, "bn/2");
  EXPECT_EQ(net.net().parameters[2].shape, Shape{1});
}

TEST(Lrn, WithinChannel) {
  NetText net(input_layer("x", {1, 2, 3, 3}) + R"(
layer { name: "lrn" type: "LRN" bottom: "x" top: "y"
  lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 norm_region: WITHIN_CHANNEL k: 9 } })");
  const Given given{{"x", uneven(18)}};
  expect_near(net.forward("y", given), {-0.6629046f, -0.8566516f, -1.269074f, 1.441281f, 1.034627f, 0.8917941f,
                                        0.6186321f, 0.2967654f, 0, -0.309316f, -0.5496506f, -0.886084f, -1.153024f,
                                        -1.285801f, 1.219512f, 0.9575289f, 0.6105085f, 0.380033f});
  expect_near(net.gradient("y", uneven(18, 0.7f), "x", given),
              {-0.2632987f, -0.1442847f, -0.5169083f, 0.5125361f, 0.1235546f, 0.3564793f, 0.2828198f, 0.1158158f, 0,
               -0.1471456f, -0.1507585f, -0.3588456f, -0.4217672f, -0.1648817f, 0.4377761f, 0.3840492f, 0.1523886f,
               0.1721786f});
}

TEST(Lrn, AcrossChannels) {
  NetText net(input_layer("x", {1, 4, 1, 2}) + R"(
layer { name: "lrn" type: "LRN" bottom: "x" top: "y" lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 k: 2 } })");
  const Given given{{"x", uneven(8)}};
  expect_near(net.forward("y", given),
              {-0.4374528f, -0.5777779f, -0.7377968f, 0.8382184f, 0.6992855f, 0.5353776f, 0.3984013f, 0.2165306f});
  expect_near(net.gradient("y", uneven(8, 0.7f), "x", given),
              {-0.2176085f, -0.2268668f, -0.238685f, 0.2369001f, 0.2349687f, 0.2103274f, 0.2093138f, 0.1335654f});
}

std::string mvn(const std::string& fields) {
  return input_layer("x", {2, 3, 2, 2}) + "layer { name: \"m\" type: \"MVN\" bottom: \"x\" top: \"y\" mvn_param { " +
         fields + " } }";
}

// Expected numbers from numpy.
TEST(MVN, OverPlanesAndOverItems) {
  Numbers g = uneven(24, 0.5f);
  std::reverse(g.begin(), g.end());
  const Given given{{"x", uneven(24)}};
  NetText planes(mvn("")), items(mvn("across_channels: true"));
  expect_near(planes.forward("y", given),
              {-0.2917622f, -0.5663619f, -0.8409616f, 1.699086f,  1.341641f,   0.4472136f, -0.4472136f, -1.341641f,
               1.341641f,   0.4472136f,  -0.4472136f, -1.341641f, -0.8724024f, -1.113065f, 1.113065f,   0.8724024f,
               1.341641f,   0.4472136f,  -0.4472136f, -1.341641f, 1.341641f,   0.4472136f, -0.4472136f, -1.341641f});
  expect_near(
      planes.gradient("y", g, "x", given),
      {-0.1774181f, -0.01326491f, 0.1508883f,  0.03979472f,  0,          0, 0, 0, -0.4583939f, 1.375182f, -1.375182f,
       0.4583939f,  -0.0825985f,  0.06473936f, -0.06473936f, 0.0825985f, 0, 0, 0, 0,           1.375182f, -1.833576f,
       -0.4583939f, 0.9167879f},
      2e-5f);
  expect_near(items.forward("y", given),
              {-0.7479612f, -1.089886f,  -1.431811f,  1.730996f,   1.389071f,   1.047146f,   0.7052205f,  0.3632954f,
               0.02137032f, -0.3205548f, -0.6624799f, -1.004405f,  -0.9907474f, -1.316473f,  1.696485f,   1.37076f,
               1.045035f,   0.7193097f,  0.3935846f,  0.06785941f, -0.2578658f, -0.5835909f, -0.9093161f, -1.235041f});
  expect_near(
      items.gradient("y", g, "x", given),
      {-0.4830189f,  -0.2365299f, 0.009959151f, -0.517698f,  -0.271209f,  -0.02472004f, 0.221769f,   0.468258f,
       0.714747f,    0.961236f,   -0.5446411f,  -0.2981521f, -0.2798122f, -0.05165765f, -0.4927463f, -0.2645917f,
       -0.03643709f, 0.1917175f,  0.4198721f,   0.6480268f,  0.8761814f,  -0.5650055f,  -0.3368509f, -0.1086963f},
      2e-5f);
}

// The deviation is 0: Caffe divides by eps, and the square root has no derivative.
TEST(MVN, ConstantPatches) {
  NetText net(input_layer("x", {1, 1, 1, 2}) +
              R"(layer { name: "m" type: "MVN" bottom: "x" top: "y" mvn_param { eps: 0.5 } })");
  const Given given{{"x", {3, 3}}};
  expect_near(net.forward("y", given), {0, 0});
  expect_near(net.gradient("y", {1, 0}, "x", given), {1, -1});
}

TEST(MVN, WithoutVarianceAndWithFourAxes) {
  NetText net(
      input_layer("x", {2, 3}) +
      R"(layer { name: "m" type: "MVN" bottom: "x" top: "y" mvn_param { normalize_variance: false across_channels: true } })");
  EXPECT_EQ(net.blob("y").shape(), (Shape{2, 3, 1, 1}));
  expect_near(net.forward("y", {{"x", {1, 2, 6, 0, 0, 3}}}), {-2, -1, 3, -1, -1, 2});
}

}  // namespace
}  // namespace trainer
