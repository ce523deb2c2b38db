// Tests MatMul and Attention with numbers from PyTorch in double precision (matmul, scaled_dot_product_attention,
// autograd).
#include "layers/net_run.h"

namespace trainer {
namespace {

TEST(MatMul, MultipliesTheLastTwoAxes) {
  NetText net(input_layer("a", {2, 2, 3}) + input_layer("b", {2, 4, 3}) + R"(
layer { name: "m" type: "MatMul" bottom: "a" bottom: "b" top: "y" matmul_param { transpose_b: true } })");
  ASSERT_EQ(net.problems(), "");
  expect_near(net.forward("y", {{"a", uneven(12)}, {"b", uneven(24, 0.5f)}}),
              {2.695f, -2.96f, -0.62f, 1.72f, -2.96f, 4, 1.12f, -1.76f, -1.04f, 0.7f, -0.02f, -0.74f, 0.1f, -0.92f,
               0.52f, 1.96f});
}

TEST(MatMul, RefusesWhatDoesNotFit) {
  const std::string inputs = input_layer("a", {2, 2, 3}) + input_layer("b", {2, 4, 3}) + input_layer("c", {3, 3, 4});
  const auto problems = [&](const std::string& bottoms) {
    return NetText(inputs + "layer { name: \"m\" type: \"MatMul\" " + bottoms + " top: \"y\" }").problems();
  };
  EXPECT_NE(problems("bottom: 'a' bottom: 'b'").find("over 3 and 4 elements"), std::string::npos);
  EXPECT_NE(problems("bottom: 'a' bottom: 'c'").find("all axes but the last two"), std::string::npos);
}

const std::string kInputs = input_layer("q", {2, 3, 4}) + input_layer("k", {2, 4, 4}) + input_layer("v", {2, 4, 2});

TEST(Attention, HeadsAndAMask) {
  NetText net(kInputs + input_layer("mask", {2, 4}) + R"(
layer { name: "a" type: "Attention" bottom: "q" bottom: "k" bottom: "v" bottom: "mask" top: "y" attention_param { heads: 2 } })");
  ASSERT_EQ(net.problems(), "");
  const Given given{
      {"q", uneven(24, 0.5f)}, {"k", uneven(32, 0.4f)}, {"v", uneven(16, 0.6f)}, {"mask", {1, 1, 0, 1, 1, 0, 0, 1}}};
  expect_near(net.forward("y", given), {-0.1523643f, -0.1605187f, -0.6565777f, 0.2796205f, -0.318409f, 0.214304f,
                                        0.5999276f, 0.1948206f, 0.4747153f, 0.2750486f, 0.5553188f, 0.3550274f});
  expect_near(
      net.gradient("y", uneven(12, 0.7f), "q", given),
      {0.1019843f,  0.1019843f,  -0.2526248f, 0.1294635f,  0.2305925f,  0.2305925f,  0.2839367f,   -0.1907421f,
       -0.2291734f, -0.2291734f, 0.2158752f,  -0.1356532f, -0.0273939f, -0.0273939f, -0.01382929f, -0.01382929f,
       0,           0,           0.01413509f, 0.01413509f, 0.02804971f, 0.02804971f, 0.04123064f,  0.04123064f});
  expect_near(net.gradient("y", uneven(12, 0.7f), "v", given),
              {-0.1154964f, 0.1592933f, -0.492595f, 0.5842034f, 0, 0, -0.09190854f, 0.5865033f, -0.02449108f,
               -0.3279541f, 0, 0, 0, 0, 0.02449108f, -0.5120459f});
}

TEST(Attention, CausalWithAScale) {
  NetText net(input_layer("q", {2, 3, 4}) + input_layer("k", {2, 3, 4}) + input_layer("v", {2, 3, 2}) + R"(
layer { name: "a" type: "Attention" bottom: "q" bottom: "k" bottom: "v" top: "y" attention_param { causal: true scale: 0.3 } })");
  ASSERT_EQ(net.problems(), "");
  // The mask allows the first three of four keys and values of each item.
  const Numbers k = uneven(32, 0.4f), v = uneven(16, 0.6f);
  Numbers keys(k.begin(), k.begin() + 12), values(v.begin(), v.begin() + 6);
  keys.insert(keys.end(), k.begin() + 16, k.begin() + 28);
  values.insert(values.end(), v.begin() + 8, v.begin() + 14);
  expect_near(net.forward("y", {{"q", uneven(24, 0.5f)}, {"k", keys}, {"v", values}}),
              {-0.54f, -0.78f, -0.8389609f, 0.4532138f, -0.1164779f, 0.3831383f, 0, -0.24f, -0.2261913f, -0.4661913f,
               -0.4454633f, -0.6854633f});
}

TEST(Attention, AQueryThatMayLookNowhereGetsZeros) {
  NetText net(kInputs + input_layer("mask", {2, 4}) + R"(
layer { name: "a" type: "Attention" bottom: "q" bottom: "k" bottom: "v" bottom: "mask" top: "y" })");
  const Given given{{"q", uneven(24)}, {"k", uneven(32)}, {"v", uneven(16)}};
  expect_near(net.forward("y", given), Numbers(12, 0.0f));
  expect_near(net.gradient("y", uneven(12), "q", given), Numbers(24, 0.0f));
}

TEST(Attention, RefusesWhatDoesNotFit) {
  NetText net(kInputs + R"(
layer { name: "a" type: "Attention" bottom: "q" bottom: "k" bottom: "v" top: "y" attention_param { heads: 3 } })");
  EXPECT_NE(net.problems().find("3 heads for 4 features of the queries and 2 of the values"), std::string::npos);
}

}  // namespace
}  // namespace trainer
