// Rates and decay by pattern and by depth.
#include "lowering/multipliers.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "layers/net_run.h"

namespace trainer {
namespace {

const char* const kNet = R"(
layer { name: "data" type: "DummyData" top: "x" dummy_data_param { shape { dim: 2 dim: 4 dim: 5 dim: 5 } } }
layer { name: "conv1" type: "Convolution" bottom: "x" top: "a" param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "scale1" type: "Scale" bottom: "a" top: "a" scale_param { bias_term: true } }
layer { name: "conv2" type: "Convolution" bottom: "a" top: "b" param { name: "shared" }
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false } }
layer { name: "conv3" type: "Convolution" bottom: "b" top: "c" param { name: "shared" }
  convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "c" top: "d" }
layer { name: "ip" type: "InnerProduct" bottom: "d" top: "ip" inner_product_param { num_output: 3 } }
)";

caffe::ParamRule rule(const std::string& pattern, float lr_mult, float decay_mult) {
  caffe::ParamRule made;
  made.set_pattern(pattern);
  made.set_lr_mult(lr_mult);
  made.set_decay_mult(decay_mult);
  return made;
}

using States = std::set<std::string>;

TEST(Multipliers, PatternsMatchLayersBlobsAndParameters) {
  NetText net(kNet);
  const auto matched = [&](const std::string& pattern) {
    return matched_parameters(pattern, net.net(), Statistics::kIgnored);
  };
  EXPECT_EQ(matched("conv*"), (States{"conv1/0", "conv1/1", "conv2/0"}));
  EXPECT_EQ(matched("conv3"), (States{"conv2/0"}));  // it shares the blob of conv2
  EXPECT_EQ(matched("share?"), (States{"conv2/0"}));
  EXPECT_EQ(matched("*/1"), (States{"conv1/1", "scale1/1", "ip/1"}));
  EXPECT_EQ(matched("Conv1"), States());
}

TEST(Multipliers, RulesMultiply) {
  NetText net(kNet);
  ParameterMultipliers multipliers;
  *multipliers.rules.Add() = rule("conv1", 0.1f, 3);
  *multipliers.rules.Add() = rule("conv[12]*", 0.5f, 1);
  *multipliers.rules.Add() = rule("ip/1", 0, 1);
  apply_multipliers(multipliers, &net.net());
  std::map<std::string, std::pair<float, float>> factors;
  for (const ParameterInfo& p : net.net().parameters) factors[p.state] = {p.lr_mult, p.decay_mult};
  EXPECT_FLOAT_EQ(factors["conv1/0"].first, 0.05f);
  EXPECT_FLOAT_EQ(factors["conv1/0"].second, 3);
  EXPECT_FLOAT_EQ(factors["conv1/1"].first, 0.1f);
  EXPECT_FLOAT_EQ(factors["conv1/1"].second, 0);
  EXPECT_FLOAT_EQ(factors["conv2/0"].first, 0.5f);
  EXPECT_FLOAT_EQ(factors["scale1/0"].first, 1);
  EXPECT_FLOAT_EQ(factors["ip/1"].first, 0);
}

// Frozen statistics are stored with an lr_mult of 0 in any case.
TEST(Multipliers, FrozenParametersKeepTheirValuesExceptFreshOnes) {
  NetText net(fmt::format("{}{}", kNet, R"(layer { name: "bn" type: "BatchNorm" bottom: "ip" top: "bn" })"));
  ParameterMultipliers multipliers;
  *multipliers.rules.Add() = rule("conv1", 5, 5);
  multipliers.frozen = {"conv*", "b?", "ip"};
  multipliers.fresh = {"ip/1"};
  EXPECT_EQ(frozen_parameters(multipliers, net.net()),
            (States{"conv1/0", "conv1/1", "conv2/0", "bn/0", "bn/1", "bn/2", "ip/0"}));
  apply_multipliers(multipliers, &net.net());
  for (const ParameterInfo& p : net.net().parameters) {
    const bool learns = p.state == "ip/1" || p.state.starts_with("scale1");
    EXPECT_FLOAT_EQ(p.lr_mult, learns ? 1 : 0) << p.state;
    EXPECT_FLOAT_EQ(p.decay_mult, learns ? 1 : 0) << p.state;
  }
}

// The longest way from conv1 has conv2, conv3 and ip after it; Scale has no weights of its own.
TEST(Multipliers, RatesDecayFromTheEndOfTheNet) {
  NetText net(kNet);
  EXPECT_EQ(weight_layers_after(net.net()), (std::vector<int>{4, 3, 3, 2, 1, 1, 0}));
  ParameterMultipliers multipliers;
  multipliers.layer_decay = 0.5f;
  apply_multipliers(multipliers, &net.net());
  EXPECT_FLOAT_EQ(net.net().parameters[0].lr_mult, 0.125f);
  EXPECT_FLOAT_EQ(net.net().parameters[1].lr_mult, 0.25f);
  EXPECT_FLOAT_EQ(net.net().parameters.back().lr_mult, 1);
}

}  // namespace
}  // namespace trainer
