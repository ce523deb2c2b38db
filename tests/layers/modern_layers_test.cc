// Tests LayerNorm, GroupNorm, GELU, Mish, ReLU6, HardSigmoid and HardSwish with numbers from PyTorch in double
// precision; gradients from autograd.
#include <algorithm>

#include "layers/net_run.h"

namespace trainer {
namespace {

TEST(LayerNorm, NormalizesItemsOverTheLastAxes) {
  NetText net(input_layer("x", {2, 2, 3}) + R"(
layer { name: "n" type: "LayerNorm" bottom: "x" top: "y" layer_norm_param { eps: 0.01 } })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", uneven(12)}, {"n/0", {1, 2, 3}}, {"n/1", {0.5f, 0, -0.5f}}};
  expect_near(net.forward("y", given),
              {1.67108f, 0, -4.01324f, 1.67108f, 0, -4.01324f, 1.67108f, 0, -4.01324f, 1.67108f, 0, -4.01324f});
  expect_near(net.gradient("y", uneven(12, 0.7f), "x", given),
              {0.09563821f, 0.546504f, -0.6421422f, -0.4137816f, 0.546504f, -0.1327224f, -0.2029872f, 0.546504f,
               -0.3435168f, 0.007807201f, 0.546504f, -0.5543112f},
              1e-4f);
}

TEST(GroupNorm, NormalizesGroupsOfChannels) {
  NetText net(input_layer("x", {2, 4, 3}) + R"(
layer { name: "n" type: "GroupNorm" bottom: "x" top: "y" group_norm_param { groups: 2 eps: 0.01 } })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", uneven(24)}, {"n/0", {1, 2, 3, 4}}, {"n/1", {0.5f, 0, -0.5f, 1}}};
  expect_near(net.forward("y", given),
              {-0.2048462f, -0.473359f,  -0.7418718f, 2.483744f,  1.946718f,   1.409692f,   3.845241f,  2.107145f,
               0.3690482f,  -0.1587309f, -2.476193f,  -4.793655f, -0.7178955f, -0.9989483f, 1.60079f,   1.639475f,
               1.077369f,   0.5152635f,  3.845241f,   2.107145f,  0.3690482f,  -0.1587309f, -2.476193f, -4.793655f});
  expect_near(
      net.gradient("y", uneven(24, 0.7f), "x", given),
      {-0.1083781f, -0.006458222f, 0.0954617f,   0.09249727f, 0.006458222f, -0.07958083f, -0.154565f,  0.06948334f,
       0.2935317f,  0.1120242f,    -0.06948334f, -0.2509908f, -0.05788524f, -0.02016743f, -0.3690572f, 0.3080558f,
       0.1490366f,  -0.009982539f, -0.2463823f,  0.1563375f,  0.5590573f,   -0.1535015f,  -0.1563375f, -0.1591736f});
}

TEST(GroupNorm, RefusesGroupsThatDoNotDivideTheChannels) {
  NetText net(input_layer("x", {2, 4, 3}) + "layer { name: 'n' type: 'GroupNorm' bottom: 'x' top: 'y' }");
  EXPECT_NE(net.problems().find("32 groups of 4 channels"), std::string::npos);
}

// Each of many items is kept whole and scaled, or dropped whole.
TEST(DropPath, DropsItems) {
  const std::string text =
      input_layer("x", {4000, 3}) +
      "layer { name: 'd' type: 'DropPath' bottom: 'x' top: 'y' drop_path_param { drop_ratio: 0.2 } }";
  NetText net(text);
  ASSERT_EQ(net.problems(), "");
  const Numbers x = uneven(12000), y = net.forward("y", {{"x", x}});
  int kept = 0;
  for (size_t item = 0; item < 4000; ++item) {
    const bool keep =
        std::any_of(y.begin() + item * 3, y.begin() + item * 3 + 3, [](float value) { return value != 0; });
    kept += keep;
    for (size_t i = item * 3; i < item * 3 + 3; ++i) ASSERT_FLOAT_EQ(y[i], keep ? x[i] * 1.25f : 0);
  }
  EXPECT_NEAR(kept, 3200, 5 * 25.3);  // five standard deviations
  EXPECT_EQ(NetText(text, caffe::TEST).forward("y", {{"x", x}}), x);
}

struct Activation {
  const char* name;
  const char* layer;
  float scale;
  Numbers y, dx;
};

void PrintTo(const Activation& activation, std::ostream* out) { *out << activation.name; }

class ModernActivation : public testing::TestWithParam<Activation> {};

TEST_P(ModernActivation, AgreesWithTorch) {
  const Activation& expected = GetParam();
  NetText net(input_layer("x", {8}) + "layer { name: 'a' bottom: 'x' top: 'y' " + expected.layer + " }");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", uneven(8, expected.scale)}};
  expect_near(net.forward("y", given), expected.y);
  expect_near(net.gradient("y", uneven(8, 0.7f), "x", given), expected.dx);
}

INSTANTIATE_TEST_SUITE_P(
    All, ModernActivation,
    testing::Values(
        Activation{"Gelu",
                   "type: 'GELU'",
                   1,
                   {-0.1656541f, -0.1258406f, -0.07576129f, 1.9545f, 1.512321f, 1.061916f, 0.6305157f, 0.2621687f},
                   {0.03491246f, 0.1146406f, 0.1372284f, 1.519325f, 1.257395f, 0.939081f, 0.5711428f, 0.2247643f}},
        Activation{"GeluByTanh",
                   "type: 'GELU' gelu_param { approximate: true }",
                   1,
                   {-0.1657715f, -0.126071f, -0.0758941f, 1.954598f, 1.512137f, 1.061703f, 0.6304317f, 0.2621612f},
                   {0.03469234f, 0.114549f, 0.1379384f, 1.520539f, 1.257873f, 0.93889f, 0.5709669f, 0.2247445f}},
        Activation{"Mish",
                   "type: 'Mish'",
                   1,
                   {-0.2956564f, -0.3073825f, -0.2825894f, 1.943959f, 1.512181f, 1.077946f, 0.6596998f, 0.2890305f},
                   {-0.06075455f, 0.02402488f, 0.1060361f, 1.497045f, 1.217705f, 0.9041346f, 0.5607028f, 0.2343649f}},
        Activation{"HardSigmoid",
                   "type: 'HardSigmoid'",
                   2,
                   {0.2f, 0.066666667f, 0, 1, 1, 0.9f, 0.76666667f, 0.63333333f},
                   {-0.105f, -0.15166667f, 0, 0, 0, 0.14f, 0.093333336f, 0.046666668f}},
        Activation{"HardSwish",
                   "type: 'HardSwish'",
                   2,
                   {-0.36f, -0.17333333f, 0, 4, 3.2f, 2.16f, 1.2266667f, 0.50666667f},
                   {0.063f, 0.33366667f, 0, 1.4f, 1.12f, 1.092f, 0.57866667f, 0.21466667f}},
        Activation{
            "Relu6", "type: 'ReLU6'", 4, {0, 0, 0, 6, 6, 4.8f, 3.2f, 1.6f}, {0, 0, 0, 0, 0, 0.84f, 0.56f, 0.28f}}),
    [](const testing::TestParamInfo<Activation>& info) { return info.param.name; });

}  // namespace
}  // namespace trainer
