// Which layers a state keeps; the cases are those of Caffe's documentation of NetStateRule.
#include "config/net_state.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace trainer {
namespace {

using google::protobuf::TextFormat;

// Why the layer is left out; "" where it is kept.
std::string left_out(const std::string& rules, const std::string& state_text) {
  caffe::LayerParameter layer;
  caffe::NetState state;
  EXPECT_TRUE(TextFormat::ParseFromString(rules, &layer)) << rules;
  EXPECT_TRUE(TextFormat::ParseFromString(state_text, &state)) << state_text;
  std::string why;
  if (layer_is_included(layer, state, &why)) return "";
  return why;
}

TEST(NetState, WithoutRulesALayerIsKept) { EXPECT_EQ(left_out("", "phase: TEST level: 3 stage: 'x'"), ""); }

TEST(NetState, PhaseDefaultsToTest) {
  EXPECT_EQ(left_out("include { phase: TEST }", ""), "");
  EXPECT_EQ(left_out("include { phase: TRAIN }", ""), "the phase is TEST, not TRAIN");
  EXPECT_EQ(left_out("exclude { phase: TRAIN }", "phase: TEST"), "");
  EXPECT_EQ(left_out("exclude { phase: TEST }", "phase: TEST"), "an exclude rule is met");
}

TEST(NetState, LevelsAreInclusive) {
  const char* rule = "include { min_level: 2 max_level: 4 }";
  EXPECT_EQ(left_out(rule, "level: 1"), "the level is 1, below 2");
  EXPECT_EQ(left_out(rule, "level: 2"), "");
  EXPECT_EQ(left_out(rule, "level: 4"), "");
  EXPECT_EQ(left_out(rule, "level: 5"), "the level is 5, above 4");
  EXPECT_EQ(left_out("include { min_level: -1 }", "level: -2"), "the level is -2, below -1");
  EXPECT_EQ(left_out("include { max_level: 0 }", ""), "");
}

TEST(NetState, EveryStageIsNeededAndNoNotStageAllowed) {
  EXPECT_EQ(left_out("include { stage: 'a' stage: 'b' }", "stage: 'b' stage: 'c' stage: 'a'"), "");
  EXPECT_EQ(left_out("include { stage: 'a' stage: 'b' }", "stage: 'a'"), "stage \"b\" is not active");
  EXPECT_EQ(left_out("include { not_stage: 'a' }", "stage: 'b'"), "");
  EXPECT_EQ(left_out("include { not_stage: 'a' }", "stage: 'b' stage: 'a'"), "stage \"a\" is active");
  EXPECT_EQ(left_out("include { stage: 'a' not_stage: 'b' }", "stage: 'a' stage: 'b'"), "stage \"b\" is active");
}

TEST(NetState, OneRuleOfSeveralSuffices) {
  EXPECT_EQ(left_out("include { phase: TRAIN } include { stage: 'x' }", "phase: TEST stage: 'x'"), "");
  EXPECT_NE(left_out("include { phase: TRAIN } include { stage: 'x' }", "phase: TEST"), "");
  EXPECT_NE(left_out("exclude { phase: TRAIN } exclude { stage: 'x' }", "phase: TEST stage: 'x'"), "");
  EXPECT_EQ(left_out("exclude { phase: TRAIN } exclude { stage: 'x' }", "phase: TEST"), "");
}

TEST(NetState, AnEmptyRuleIsAlwaysMet) {
  EXPECT_EQ(left_out("include {}", "phase: TRAIN"), "");
  EXPECT_EQ(left_out("exclude {}", "phase: TRAIN"), "an exclude rule is met");
}

}  // namespace
}  // namespace trainer
