// The layers that a state includes; the cases are from Caffe's documentation of NetStateRule.
#include "config/net_state.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace trainer {
namespace {

using google::protobuf::TextFormat;

// The reason why the layer is excluded; "" if it is included.
std::string exclusion_reason(const std::string& rules, const std::string& state_text) {
  caffe::LayerParameter layer;
  caffe::NetState state;
  EXPECT_TRUE(TextFormat::ParseFromString(rules, &layer)) << rules;
  EXPECT_TRUE(TextFormat::ParseFromString(state_text, &state)) << state_text;
  std::string why;
  if (layer_is_included(layer, state, &why)) return "";
  return why;
}

TEST(NetState, WithoutRulesALayerIsIncluded) { EXPECT_EQ(exclusion_reason("", "phase: TEST level: 3 stage: 'x'"), ""); }

TEST(NetState, PhaseDefaultsToTest) {
  EXPECT_EQ(exclusion_reason("include { phase: TEST }", ""), "");
  EXPECT_EQ(exclusion_reason("include { phase: TRAIN }", ""), "the phase is TEST, not TRAIN");
  EXPECT_EQ(exclusion_reason("exclude { phase: TRAIN }", "phase: TEST"), "");
  EXPECT_EQ(exclusion_reason("exclude { phase: TEST }", "phase: TEST"), "an exclude rule is met");
}

TEST(NetState, LevelsAreInclusive) {
  const char* rule = "include { min_level: 2 max_level: 4 }";
  EXPECT_EQ(exclusion_reason(rule, "level: 1"), "the level is 1, below 2");
  EXPECT_EQ(exclusion_reason(rule, "level: 2"), "");
  EXPECT_EQ(exclusion_reason(rule, "level: 4"), "");
  EXPECT_EQ(exclusion_reason(rule, "level: 5"), "the level is 5, above 4");
  EXPECT_EQ(exclusion_reason("include { min_level: -1 }", "level: -2"), "the level is -2, below -1");
  EXPECT_EQ(exclusion_reason("include { max_level: 0 }", ""), "");
}

TEST(NetState, NeedsEveryStageAndNoNotStage) {
  EXPECT_EQ(exclusion_reason("include { stage: 'a' stage: 'b' }", "stage: 'b' stage: 'c' stage: 'a'"), "");
  EXPECT_EQ(exclusion_reason("include { stage: 'a' stage: 'b' }", "stage: 'a'"), "stage \"b\" is not active");
  EXPECT_EQ(exclusion_reason("include { not_stage: 'a' }", "stage: 'b'"), "");
  EXPECT_EQ(exclusion_reason("include { not_stage: 'a' }", "stage: 'b' stage: 'a'"), "stage \"a\" is active");
  EXPECT_EQ(exclusion_reason("include { stage: 'a' not_stage: 'b' }", "stage: 'a' stage: 'b'"),
            "stage \"b\" is active");
}

TEST(NetState, OneRuleOfSeveralSuffices) {
  EXPECT_EQ(exclusion_reason("include { phase: TRAIN } include { stage: 'x' }", "phase: TEST stage: 'x'"), "");
  EXPECT_NE(exclusion_reason("include { phase: TRAIN } include { stage: 'x' }", "phase: TEST"), "");
  EXPECT_NE(exclusion_reason("exclude { phase: TRAIN } exclude { stage: 'x' }", "phase: TEST stage: 'x'"), "");
  EXPECT_EQ(exclusion_reason("exclude { phase: TRAIN } exclude { stage: 'x' }", "phase: TEST"), "");
}

TEST(NetState, AnEmptyRuleIsAlwaysMet) {
  EXPECT_EQ(exclusion_reason("include {}", "phase: TRAIN"), "");
  EXPECT_EQ(exclusion_reason("exclude {}", "phase: TRAIN"), "an exclude rule is met");
}

}  // namespace
}  // namespace trainer
