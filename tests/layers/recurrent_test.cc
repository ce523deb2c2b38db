// Tests LSTM, RNN and LSTMUnit with numbers from PyTorch in double precision: from torch.nn.LSTM if no sequence begins
// within a batch, otherwise from the formulas of the layers with autograd.
#include "layers/net_run.h"

namespace trainer {
namespace {

std::string recurrent(const std::string& type, const std::string& bottoms, const std::string& tops, bool exposed) {
  return "layer { name: \"r\" type: \"" + type + "\" " + bottoms + " " + tops +
         " recurrent_param { num_output: 2 expose_hidden: " + (exposed ? "true" : "false") + " } }";
}

TEST(Lstm, AgreesWithTorchWhereStatesAreExposed) {
  NetText net(input_layer("x", {3, 2, 2}) + input_layer("cont", {3, 2}) + input_layer("h_0", {1, 2, 2}) +
              input_layer("c_0", {1, 2, 2}) +
              recurrent("LSTM", "bottom: 'x' bottom: 'cont' bottom: 'h_0' bottom: 'c_0'",
                        "top: 'h' top: 'h_T' top: 'c_T'", true));
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", uneven(12, 0.5f)},  {"cont", Numbers(6, 1)},   {"h_0", uneven(4, 0.2f)},
                    {"c_0", uneven(4, 0.7f)}, {"r/0", uneven(16, 0.4f)}, {"r/1", uneven(8, 0.3f)},
                    {"r/2", uneven(16, 0.6f)}};
  expect_near(net.forward("h", given), {0.2798759f, -0.4686443f, -0.2468268f, 0.355077f, 0.06589963f, -0.1835045f,
                                        -0.1937045f, 0.3442226f, 0.1742457f, -0.1617305f, 0.1394459f, 0.1961096f});
  expect_near(net.forward("h_T", given), {0.1742457f, -0.1617305f, 0.1394459f, 0.1961096f});
  expect_near(net.forward("c_T", given), {0.2813686f, -0.2601513f, 0.2284798f, 0.311153f});
  const Numbers weights = uneven(12, 0.7f);
  expect_near(net.gradient("h", weights, "x", given),
              {-0.06950559f, -0.02083656f, 0.2604573f, 0.1721488f, -0.03778995f, -0.01668813f, -0.1036099f, -0.1259225f,
               -0.03607719f, -0.0299429f, -0.09495887f, 0.05915758f});
  expect_near(
      net.gradient("h", weights, "r/0", given),
      {-0.05078113f, 0.01281401f, -0.02284659f, -0.04050736f, -0.08073949f, 0.1738644f, -0.07925917f, 0.05307559f,
       -0.07583217f, 0.2175423f, -0.2392849f, 0.1410001f, 0.3585669f, -0.006717923f, -0.040695f, 0.3177382f});
  expect_near(net.gradient("h", weights, "r/1", given),
              {-0.1061742f, 0.09434907f, 0.2273098f, -0.04344147f, 0.04523714f, 0.2725557f, -0.06289306f, -0.206118f});
  expect_near(
      net.gradient("h", weights, "r/2", given),
      {-0.01184804f, 0.01648887f, -0.002244787f, -0.01634138f, -0.02970414f, 0.02603058f, -0.01063798f, -0.0248137f,
       -0.01690075f, 0.04175955f, -0.1156208f, 0.08972478f, 0.123612f, -0.1797249f, 0.02015481f, -0.0339692f});
  // As in Caffe, no gradient passes through exposed states.
  EXPECT_TRUE(net.gradient("h", weights, "h_0", given).empty());
  EXPECT_TRUE(net.gradient("h_T", uneven(4), "r/2", given).empty());
}

TEST(Lstm, BeginsSequencesWhereContIsZero) {
  NetText net(input_layer("x", {3, 2, 2}) + input_layer("cont", {3, 2}) + input_layer("fixed", {2, 2}) +
              recurrent("LSTM", "bottom: 'x' bottom: 'cont' bottom: 'fixed'", "top: 'h'", false));
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", uneven(12, 0.5f)},   {"cont", {0, 1, 1, 0, 1, 1}}, {"fixed", uneven(4, 0.3f)},
                    {"r:h", Numbers(4, 0.5f)}, {"r:c", Numbers(4, -0.25f)},  {"r/0", uneven(16, 0.4f)},
                    {"r/1", uneven(8, 0.3f)},  {"r/2", uneven(16, 0.2f)},    {"r/3", uneven(16, 0.6f)}};
  expect_near(net.forward("h", given), {0.3051924f, -0.1483141f, -0.1714144f, 0.1516003f, 0.07120887f, 0.02356154f,
                                        -0.05298145f, 0.1086326f, 0.1713686f, 0.001107033f, 0.1958659f, -0.05709651f});
  const GraphRun run(net.graph(), given);
  expect_near(run.written("r:h"), {0.1713686f, 0.001107033f, 0.1958659f, -0.05709651f});
  expect_near(run.written("r:c"), {0.2784596f, 0.00175109f, 0.3254602f, -0.08680019f});
  expect_near(
      net.gradient("h", uneven(12, 0.7f), "r/2", given),
      {0.007125686f, 0.04143087f, -0.07267517f, 0.01310067f, -0.04220334f, -0.006463872f, 0.02993538f, -0.02594422f,
       -0.01164929f, 0.04342798f, -0.09711413f, 0.08094728f, 0.004356534f, -0.1068378f, 0.09613518f, -0.02864447f});
  expect_near(
      net.gradient("h", uneven(12, 0.7f), "r/3", given),
      {0.0215749f, 0.04757423f, 0.03354515f, 0.02480462f, 0.04161872f, 0.006523958f, -0.01370283f, -0.01317348f,
       0.05823718f, 0.03830041f, 0.06843086f, 0.06663325f, 0.02611094f, -0.05137964f, 0.09904637f, 0.05126668f});
}

TEST(Rnn, AgreesWithTorch) {
  NetText net(input_layer("x", {3, 2, 2}) + input_layer("cont", {3, 2}) +
              recurrent("RNN", "bottom: 'x' bottom: 'cont'", "top: 'o'", false));
  ASSERT_EQ(net.problems(), "");
  const Given given{{"x", uneven(12, 0.5f)},  {"cont", {0, 1, 1, 0, 1, 1}}, {"r:h", Numbers(4, 0.5f)},
                    {"r/0", uneven(4, 0.4f)}, {"r/1", uneven(2, 0.3f)},     {"r/2", uneven(4, 0.6f)},
                    {"r/3", uneven(4, 0.5f)}, {"r/4", uneven(2, 0.2f)}};
  expect_near(net.forward("o", given), {0.06910527f, -0.7582197f, -0.316728f, 0.8413712f, 0.5494672f, -0.5987498f,
                                        0.3236039f, -0.3085634f, 0.03593017f, -0.9229662f, -0.09998393f, -0.8876769f});
  expect_near(GraphRun(net.graph(), given).written("r:h"), {0.6590551f, -0.788493f, 0.6667121f, -0.5841559f});
  expect_near(net.gradient("o", uneven(12, 0.7f), "r/2", given), {-0.2273124f, 0.2205688f, 0.1562298f, 0.1639729f});
}

TEST(LstmUnit, IsOneStep) {
  NetText net(input_layer("c_prev", {1, 2, 2}) + input_layer("sums", {1, 2, 8}) + input_layer("cont", {1, 2}) + R"(
layer { name: "unit" type: "LSTMUnit" bottom: "c_prev" bottom: "sums" bottom: "cont" top: "c" top: "h" })");
  ASSERT_EQ(net.problems(), "");
  const Given given{{"c_prev", uneven(4, 0.5f)}, {"sums", uneven(16, 0.4f)}, {"cont", {1, 0}}};
  expect_near(net.forward("c", given), {-0.02412276f, -0.389331f, 0.2957597f, 0.2197827f});
  expect_near(net.forward("h", given), {-0.0157914f, -0.2290506f, 0.09923331f, 0.0670619f});
  expect_near(net.gradient("h", uneven(4, 0.7f), "c_prev", given), {-0.1386253f, -0.3345451f, 0, 0});
  expect_near(net.gradient("h", uneven(4, 0.7f), "sums", given),
              {-0.03088732f, -0.01798723f, 0.04140494f, 0.06741639f, 0.003434712f, 0.07967512f, -0.1531905f,
               -0.1762332f, -0.05573618f, 0.04909447f, 0, 0, -0.07731829f, 0.0647794f, -0.1225128f, 0.1469124f});
}

// The derivative of f with respect to its sum is computed from f with cont included: for cont = 0.5, f = 0.25 gives
// 0.25 * 0.75 / 2, not 0.125 / 2.
TEST(LstmUnit, TakesTheGradientOfTheForgetGateWithContInIt) {
  NetText net(input_layer("c_prev", {1, 1, 1}) + input_layer("sums", {1, 1, 4}) + input_layer("cont", {1, 1}) + R"(
layer { name: "unit" type: "LSTMUnit" bottom: "c_prev" bottom: "sums" bottom: "cont" top: "c" top: "h" })");
  expect_near(net.gradient("c", {1}, "sums", {{"c_prev", {0.5f}}, {"cont", {0.5f}}}), {0, 0.09375f, 0, 0.5f});
}

TEST(Recurrent, SaysWhatIsMissing) {
  const std::string inputs = input_layer("x", {3, 2, 2}) + input_layer("cont", {3, 2}) + input_layer("flat", {6});
  const auto problems = [&](const std::string& layer) { return NetText(inputs + layer).problems(); };
  EXPECT_NE(
      problems(recurrent("LSTM", "bottom: 'x' bottom: 'cont'", "top: 'h' top: 'a' top: 'b'", true)).find("2 bottoms"),
      std::string::npos);
  EXPECT_NE(problems(recurrent("LSTM", "bottom: 'x' bottom: 'cont'", "top: 'h' top: 'a'", false)).find("2 tops"),
            std::string::npos);
  EXPECT_NE(problems(recurrent("RNN", "bottom: 'x' bottom: 'flat'", "top: 'h'", false)).find("cont \"flat\" is 6"),
            std::string::npos);
  EXPECT_NE(problems("layer { name: 'r' type: 'RNN' bottom: 'x' bottom: 'cont' top: 'h' }")
                .find("num_output must be positive"),
            std::string::npos);
}

}  // namespace
}  // namespace trainer
