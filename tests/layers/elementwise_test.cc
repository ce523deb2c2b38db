// Tests elementwise and routing layers, including points at which Caffe's gradient is not the derivative.
#include <numeric>

#include "layers/net_run.h"

namespace trainer {
namespace {

NetText one(const std::string& type, const std::string& fields, caffe::Phase phase = caffe::TRAIN) {
  return NetText(
      input_layer("x", {5}) + "layer { name: \"l\" type: \"" + type + "\" bottom: \"x\" top: \"y\" " + fields + " }",
      phase);
}

const Numbers kX{-3, -2, 0, 1, 2.5f};
const Numbers kOnes(5, 1.0f);

TEST(ReLU, TakesTheSlopeAtZero) {
  NetText net = one("ReLU", "relu_param { negative_slope: 0.25 }");
  expect_near(net.forward("y", {{"x", kX}}), {-0.75f, -0.5f, 0, 1, 2.5f});
  expect_near(net.gradient("y", kOnes, "x", {{"x", kX}}), {0.25f, 0.25f, 0.25f, 1, 1});
}

TEST(SigmoidAndTanH, Values) {
  expect_near(one("Sigmoid", "").forward("y", {{"x", kX}}), {0.04742587f, 0.1192029f, 0.5f, 0.7310586f, 0.9241418f});
  expect_near(one("TanH", "").forward("y", {{"x", kX}}), {-0.9950548f, -0.9640276f, 0, 0.7615942f, 0.9866143f});
}

TEST(Power, GeneralExponent) {
  NetText net = one("Power", "power_param { power: 3 scale: 0.5 shift: 1 }");
  expect_near(net.forward("y", {{"x", kX}}), {-0.125f, 0, 1, 3.375f, 11.39062f});
  // At x = -2 the base is 0 and Caffe divides by it.
  expect_near(net.gradient("y", kOnes, "x", {{"x", kX}}), {0.375f, NAN, 1.5f, 3.375f, 7.59375f});
}

TEST(Power, SpecialExponents) {
  expect_near(one("Power", "power_param { power: 2 scale: 2 shift: 1 }").gradient("y", kOnes, "x", {{"x", kX}}),
              {-20, -12, 4, 12, 24});
  expect_near(one("Power", "power_param { scale: 2 shift: 1 }").forward("y", {{"x", kX}}), {-5, -3, 1, 3, 6});
  NetText constant = one("Power", "power_param { power: 2 scale: 0 shift: 3 }");
  expect_near(constant.forward("y", {{"x", kX}}), Numbers(5, 9.0f));
  EXPECT_TRUE(constant.gradient("y", kOnes, "x", {{"x", kX}}).empty());
  expect_near(one("Power", "power_param { power: 0 scale: 0 shift: 0 }").forward("y", {{"x", kX}}), kOnes);
}

TEST(Dropout, KeepsTheMeanAndIsItsOwnGradient) {
  const std::string text =
      input_layer("x", {100, 100}) +
      R"(layer { name: "d" type: "Dropout" bottom: "x" top: "y" dropout_param { dropout_ratio: 0.3 } })";
  NetText net(text);
  const Given given{{"x", Numbers(10000, 1.0f)}};
  const Numbers y = net.forward("y", given);
  size_t kept = 0;
  for (float value : y) {
    EXPECT_TRUE(value == 0 || std::fabs(value - 1 / 0.7f) < 1e-6f) << value;
    kept += value != 0;
  }
  EXPECT_NEAR(static_cast<double>(kept), 7000, 150);
  EXPECT_EQ(net.gradient("y", Numbers(10000, 1.0f), "x", given), y);
  EXPECT_NE(GraphRun(net.graph(), given, 1)[net.blob("y")], y);
  EXPECT_EQ(NetText(text, caffe::TEST).forward("y", given), Numbers(10000, 1.0f));
}

NetText eltwise(const std::string& fields) {
  return NetText(input_layer("a", {3}) + input_layer("b", {3}) + input_layer("c", {3}) +
                 "layer { name: \"e\" type: \"Eltwise\" bottom: \"a\" bottom: \"b\" bottom: \"c\" top: \"y\" "
                 "eltwise_param { " +
                 fields + " } }");
}
const Given kThree{{"a", {1, 2, 3}}, {"b", {1, -2, 5}}, {"c", {0, 2, 5}}};

TEST(Eltwise, WeightedSum) {
  NetText net = eltwise("coeff: 1 coeff: -2 coeff: 0.5");
  expect_near(net.forward("y", kThree), {-1, 7, -4.5f});
  expect_near(net.gradient("y", {1, 2, 3}, "b", kThree), {-2, -4, -6});
}

TEST(Eltwise, ProductWithBothGradients) {
  const Given zeros{{"a", {0, 2, 3}}, {"b", {2, -2, 5}}, {"c", {3, 2, 5}}};
  NetText stable = eltwise("operation: PROD");
  expect_near(stable.forward("y", zeros), {0, -8, 75});
  expect_near(stable.gradient("y", {1, 1, 2}, "a", zeros), {6, -4, 50});
  expect_near(eltwise("operation: PROD stable_prod_grad: false").gradient("y", {1, 1, 2}, "a", zeros), {NAN, -4, 50});
}

TEST(Eltwise, MaximumGivesTiesToOneBottom) {
  // On a tie of the first two, the second takes the gradient. On a tie of the first and the third, the first keeps it.
  for (const auto& [name, expected] :
       std::map<std::string, Numbers>{{"a", {0, 1, 0}}, {"b", {1, 0, 1}}, {"c", {0, 0, 0}}}) {
    NetText net = eltwise("operation: MAX");
    expect_near(net.forward("y", kThree), {1, 2, 5});
    expect_near(net.gradient("y", {1, 1, 1}, name, kThree), expected);
  }
}

TEST(Routing, ConcatFlattenSplitSilence) {
  NetText net(input_layer("a", {2, 1, 2}) + input_layer("b", {2, 2, 2}) + R"(
layer { name: "s" type: "Split" bottom: "a" top: "a1" top: "a2" }
layer { name: "c" type: "Concat" bottom: "a1" bottom: "b" bottom: "a2" top: "c" }
layer { name: "f" type: "Flatten" bottom: "c" top: "f" }
layer { name: "g" type: "Flatten" bottom: "c" top: "g" flatten_param { axis: 0 end_axis: 1 } }
layer { name: "q" type: "Silence" bottom: "g" })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"a", {1, 2, 3, 4}}, {"b", {10, 20, 30, 40, 50, 60, 70, 80}}};
  EXPECT_EQ(net.blob("f").shape(), (Shape{2, 8}));
  EXPECT_EQ(net.blob("g").shape(), (Shape{8, 2}));
  expect_near(net.forward("f", given), {1, 2, 10, 20, 30, 40, 1, 2, 3, 4, 50, 60, 70, 80, 3, 4});
  Numbers weights(16);
  std::iota(weights.begin(), weights.end(), 0.0f);
  expect_near(net.gradient("f", weights, "a", given), {6, 8, 22, 24});
  ASSERT_EQ(net.net().outputs.size(), 1u);
  EXPECT_EQ(net.net().outputs[0].name, "f");
}

}  // namespace
}  // namespace trainer
