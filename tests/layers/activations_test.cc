// Tests activations with numbers from numpy; the inputs include ties and zeros.
#include "layers/net_run.h"

namespace trainer {
namespace {

NetText one(const std::string& type, const std::string& fields = "") {
  return NetText(input_layer("x", {5}) + "layer { name: \"l\" type: \"" + type + "\" bottom: \"x\" top: \"y\" " +
                 fields + " }");
}

const Numbers kX{-3, -2, 0, 1, 2.5f};
const Numbers kOnes(5, 1.0f);

void expect_function(NetText net, const Numbers& x, const Numbers& y, const Numbers& gradient) {
  ASSERT_EQ(net.problems(), "");
  expect_near(net.forward("y", {{"x", x}}), y);
  expect_near(net.gradient("y", kOnes, "x", {{"x", x}}), gradient);
}

TEST(AbsVal, HasNoGradientAtZero) { expect_function(one("AbsVal"), kX, {3, 2, 0, 1, 2.5f}, {-1, -1, 0, 1, 1}); }

TEST(BNLL, Values) {
  expect_function(one("BNLL"), kX, {0.04858735f, 0.126928f, 0.6931472f, 1.313262f, 2.57889f},
                  {0.04742587f, 0.1192029f, 0.5f, 0.7310586f, 0.9241418f});
  expect_function(one("BNLL"), {-200, -90, 60, 90, 200}, {0, 0, 60, 90, 200}, {0, 0, 1, 1, 1});
}

TEST(Clip, PassesTheGradientAtItsBounds) {
  expect_function(one("Clip", "clip_param { min: -2 max: 1 }"), kX, {-2, -2, 0, 1, 1}, {0, 1, 1, 1, 0});
}

TEST(ELU, TakesAlphaAtZeroAndStaysFinite) {
  expect_function(one("ELU", "elu_param { alpha: 0.5 }"), kX, {-0.4751065f, -0.4323324f, 0, 1, 2.5f},
                  {0.02489353f, 0.06766764f, 0.5f, 1, 1});
  expect_function(one("ELU"), {-200, -100, 90, 100, 200}, {-1, -1, 90, 100, 200}, {0, 0, 1, 1, 1});
  for (float x : {-1e-4f, -1e-6f, -1e-8f}) {  // x + x^2 / 2, although e^x rounds to nearly 1
    const float y = one("ELU").forward("y", {{"x", Numbers(5, x)}})[0];
    EXPECT_NEAR(y / (x + 0.5f * x * x), 1, 1e-6f) << x;
  }
}

TEST(Erf, Values) {
  expect_function(one("Erf"), kX, {-0.9999779f, -0.9953223f, 0, 0.8427008f, 0.999593f},
                  {0.0001392531f, 0.02066699f, 1.128379f, 0.4151075f, 0.002178284f});
}

TEST(Exp, Values) {
  expect_function(one("Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }"), kX, {0.7071068f, 1, 2, 2.828427f, 4.756828f},
                  {0.2450645f, 0.3465736f, 0.6931472f, 0.9802582f, 1.648591f});
  expect_near(one("Exp").forward("y", {{"x", {0, 1, 2, -1, 0}}}), {1, 2.7182818f, 7.3890561f, 0.36787944f, 1});
}

TEST(Log, Values) {
  expect_function(one("Log", "log_param { base: 10 scale: 2 shift: 1 }"), {0.5f, 1, 2, 4, 10},
                  {0.30103f, 0.4771213f, 0.69897f, 0.9542425f, 1.322219f},
                  {0.4342945f, 0.2895297f, 0.1737178f, 0.09650988f, 0.04136138f});
}

TEST(Softplus, Values) {
  expect_function(one("Softplus"), kX, {0.04858735f, 0.126928f, 0.6931472f, 1.313262f, 2.57889f},
                  {0.04742587f, 0.1192029f, 0.5f, 0.7310586f, 0.9241418f});
  expect_function(one("Softplus"), {-200, -20, 19, 21, 200}, {0, 2.061154e-9f, 19, 21, 200},
                  {0, 2.061154e-9f, 1, 1, 1});
}

TEST(Swish, Values) {
  expect_function(one("Swish", "swish_param { beta: 1.5 }"), kX, {-0.03296083f, -0.09485175f, 0, 0.8175745f, 2.442557f},
                  {-0.03791109f, -0.08810411f, 0.5f, 1.041294f, 1.061208f});
}

TEST(PReLU, TakesTheSlopeAtZero) {
  NetText net(input_layer("x", {2, 2, 2}) + R"(layer { name: "p" type: "PReLU" bottom: "x" top: "y" })");
  const Given given{{"x", {1, -2, 0, -4, 5, 6, -7, 8}}, {"p/0", {0.5f, -1}}};
  expect_near(net.forward("y", given), {1, -1, 0, 4, 5, 6, 7, 8});
  expect_near(net.gradient("y", {1, 1, 1, 1, 2, 2, 2, 2}, "x", given), {1, 0.5f, -1, -1, 2, 2, -2, 2});
  expect_near(net.gradient("y", {1, 1, 1, 1, 2, 2, 2, 2}, "p/0", given), {-2, -18});
  NetText shared(input_layer("x", {2, 2, 2}) +
                 R"(layer { name: "p" type: "PReLU" bottom: "x" top: "y" prelu_param { channel_shared: true } })");
  EXPECT_EQ(shared.net().parameters[0].shape, Shape{});
  expect_near(shared.gradient("y", Numbers(8, 1.0f), "p/0", {{"x", given.at("x")}, {"p/0", {0.5f}}}), {-13});
}

}  // namespace
}  // namespace trainer
