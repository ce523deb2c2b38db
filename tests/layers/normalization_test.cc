// BatchNorm and LRN against numbers computed with numpy in double precision, gradients by finite differences
// there.
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
  expect_near(net.forward("y", given),
              {-0.491234f, -0.9278864f, -1.364539f, 1.282396f, 0.961797f, 0.641198f, 1.364539f, 0.9278864f,
               0.491234f, -0.641198f, -0.961797f, -1.282396f});
  const GraphRun run(net.graph(), given);
  expect_near(run.written("bn/0"), {0.45f, 2.2f});
  expect_near(run.written("bn/1"), {3.695f, 5.456f});
  expect_near(run.written("bn/2"), {2.8f});
  expect_near(net.gradient("y", uneven(12, 0.7f), "x", given),
              {-0.004097682f, -0.007740065f, -0.01138245f, 0.005766663f, 0.004324997f, 0.002883332f,
               0.01138245f, 0.007740065f, 0.004097682f, -0.002883332f, -0.004324997f, -0.005766663f});
}

TEST(BatchNorm, UsesGlobalStatisticsInTest) {
  NetText net(kBatchNorm, caffe::TEST);
  const Given given{{"x", uneven(12)}, {"bn/0", {1, 2}}, {"bn/1", {3, 4}}, {"bn/2", {2}}};
  expect_near(net.forward("y", given),
              {-1.139304f, -1.464819f, -1.790335f, 0.7053456f, 0.4232074f, 0.1410691f, 0.2441365f,
               -0.08137885f, -0.4068942f, -0.9874839f, -1.269622f, -1.55176f});
  EXPECT_TRUE(net.graph().writes.empty());
  // Nothing counted yet: mean and variance are 0.
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
  expect_near(net.forward("y", given),
              {-0.6629046f, -0.8566516f, -1.269074f, 1.441281f, 1.034627f, 0.8917941f, 0.6186321f, 0.2967654f,
               0, -0.309316f, -0.5496506f, -0.886084f, -1.153024f, -1.285801f, 1.219512f, 0.9575289f,
               0.6105085f, 0.380033f});
  expect_near(net.gradient("y", uneven(18, 0.7f), "x", given),
              {-0.2632987f, -0.1442847f, -0.5169083f, 0.5125361f, 0.1235546f, 0.3564793f, 0.2828198f,
               0.1158158f, 0, -0.1471456f, -0.1507585f, -0.3588456f, -0.4217672f, -0.1648817f, 0.4377761f,
               0.3840492f, 0.1523886f, 0.1721786f});
}

TEST(Lrn, AcrossChannels) {
  NetText net(input_layer("x", {1, 4, 1, 2}) + R"(
layer { name: "lrn" type: "LRN" bottom: "x" top: "y" lrn_param { local_size: 3 alpha: 0.5 beta: 0.75 k: 2 } })");
  const Given given{{"x", uneven(8)}};
  expect_near(net.forward("y", given), {-0.4374528f, -0.5777779f, -0.7377968f, 0.8382184f, 0.6992855f,
                                        0.5353776f, 0.3984013f, 0.2165306f});
  expect_near(
      net.gradient("y", uneven(8, 0.7f), "x", given),
      {-0.2176085f, -0.2268668f, -0.238685f, 0.2369001f, 0.2349687f, 0.2103274f, 0.2093138f, 0.1335654f});
}

}  // namespace
}  // namespace trainer
