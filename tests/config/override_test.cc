// The effects of --set, and its error messages.
#include "config/override.h"

#include <gtest/gtest.h>

#include "config/prototxt.h"

namespace trainer {
namespace {

struct Outcome {
  caffe::NetParameter net;
  caffe::SolverParameter solver;
  Positions positions;
  Diagnostics diagnostics;

  explicit Outcome(const std::string& assignment) {
    parse_prototxt(R"(name: "n"
layer { name: "conv1" type: "Convolution" param { lr_mult: 1 } param { lr_mult: 2 }
        convolution_param { num_output: 8 kernel_size: 3 kernel_size: 5 } }
layer { name: "fire2/relu1-a b" type: "ReLU" })",
                   "net.prototxt", &net, &positions, &diagnostics);
    parse_prototxt("base_lr: 0.5 stepvalue: 1 stepvalue: 2 type: \"SGD\"", "solver.prototxt", &solver, &positions,
                   &diagnostics);
    apply_solver_override(assignment, &solver, &positions, &diagnostics);
    apply_net_override(assignment, &net, &positions, &diagnostics);
    apply_layer_override(assignment, {{&net, &positions, caffe::NetState()}}, &diagnostics);
  }
  const caffe::LayerParameter& conv() const { return net.layer(0); }
};

std::string problem(const std::string& assignment) { return Outcome(assignment).diagnostics.render(); }

TEST(Override, SetsFieldsOfTheSolver) {
  EXPECT_FLOAT_EQ(Outcome("base_lr=0.25").solver.base_lr(), 0.25f);
  EXPECT_EQ(Outcome("type=Adam").solver.type(), "Adam");
  EXPECT_EQ(Outcome("type=\"Adam\"").solver.type(), "Adam");
  EXPECT_EQ(Outcome("snapshot_prefix=a\\b\"c").solver.snapshot_prefix(), "a\\b\"c");
  EXPECT_EQ(Outcome("snapshot_prefix=").solver.snapshot_prefix(), "");
  EXPECT_EQ(Outcome("solver_mode=CPU").solver.solver_mode(), caffe::SolverParameter::CPU);
  EXPECT_EQ(Outcome("train_state.level=3").solver.train_state().level(), 3);
  EXPECT_EQ(Outcome("random_seed=-1").solver.random_seed(), -1);
}

TEST(Override, ReplacesListsAndElements) {
  EXPECT_EQ(Outcome("stepvalue=[7,8,9]").solver.stepvalue_size(), 3);
  EXPECT_EQ(Outcome("stepvalue=7").solver.stepvalue_size(), 1);
  EXPECT_EQ(Outcome("stepvalue=[]").solver.stepvalue_size(), 0);
  const Outcome second("stepvalue[1]=9");
  EXPECT_EQ(second.solver.stepvalue(0), 1);
  EXPECT_EQ(second.solver.stepvalue(1), 9);
  EXPECT_EQ(Outcome("stepvalue[2]=9").solver.stepvalue(2), 9);
}

TEST(Override, SetsFieldsOfLayersAndNets) {
  EXPECT_EQ(Outcome("layer[conv1].convolution_param.num_output=32").conv().convolution_param().num_output(), 32u);
  EXPECT_EQ(Outcome("layer[conv1].convolution_param.kernel_size[1]=7").conv().convolution_param().kernel_size(1), 7u);
  EXPECT_EQ(Outcome("layer[conv1].param[1].lr_mult=0").conv().param(1).lr_mult(), 0);
  EXPECT_EQ(Outcome("layer[conv1].param[2].lr_mult=3").conv().param_size(), 3);
  EXPECT_EQ(Outcome("layer[conv1].convolution_param={num_output: 2}").conv().convolution_param().num_output(), 2u);
  EXPECT_TRUE(Outcome("net.force_backward=true").net.force_backward());
  EXPECT_EQ(Outcome("layer[fire2/relu1-a b].type=TanH").net.layer(1).type(), "TanH");
  EXPECT_FLOAT_EQ(Outcome("layer[fire2/relu1-a b].param[1].lr_mult=0.5").net.layer(1).param(1).lr_mult(), 0.5f);
}

TEST(Override, IsShownInLaterMessages) {
  const Outcome outcome("layer[conv1].convolution_param.num_output=32");
  const SourcePosition position = outcome.positions.of(outcome.conv(), "convolution_param.num_output");
  EXPECT_EQ(position.file, "--set");
  EXPECT_EQ(position.source_line, "layer[conv1].convolution_param.num_output=32");
}

TEST(Override, NamesTheNearestField) {
  EXPECT_EQ(problem("base_rl=0.1"),
            "--set: error: unknown field \"base_rl\"; did you mean \"base_lr\"?\n"
            "    base_rl=0.1\n"
            "    ^~~~~~~\n");
  EXPECT_EQ(problem("layer[conv2].type=ReLU"),
            "--set: error: the net has no layer \"conv2\"; did you mean \"conv1\"? its layers: conv1, fire2/relu1-a b\n"
            "    layer[conv2].type=ReLU\n"
            "          ^~~~~\n");
  EXPECT_EQ(problem("layer[conv1].convolution_param.num_outputs=5"),
            "--set: error: unknown field \"num_outputs\"; did you mean \"num_output\"?\n"
            "    layer[conv1].convolution_param.num_outputs=5\n"
            "                                   ^~~~~~~~~~~\n");
}

TEST(Override, AWrongValueKeepsTheOldOne) {
  EXPECT_EQ(problem("base_lr=fast"),
            "--set: error: base_lr expects a number, found \"fast\"\n"
            "    base_lr=fast\n"
            "            ^~~~\n");
  EXPECT_EQ(Outcome("base_lr=fast").solver.base_lr(), 0.5f);
  EXPECT_EQ(Outcome("stepvalue=[7,x]").solver.stepvalue_size(), 2);
  EXPECT_EQ(Outcome("stepvalue[1]=x").solver.stepvalue(1), 2);
}

TEST(Override, ReportsMalformedAssignments) {
  EXPECT_EQ(problem("base_lr"),
            "--set: error: expected field=value; for example --set base_lr=0.01\n"
            "    base_lr\n"
            "    ^~~~~~~\n");
  EXPECT_EQ(problem("base_lr=1 2"),
            "--set: error: unexpected \"2\" after the value\n"
            "    base_lr=1 2\n"
            "              ^\n");
  EXPECT_EQ(problem("base_lr.x=1"),
            "--set: error: base_lr has no fields of its own\n"
            "    base_lr.x=1\n"
            "    ^~~~~~~\n");
  EXPECT_EQ(problem("stepvalue[9]=1"),
            "--set: error: stepvalue has 2 elements\n"
            "    stepvalue[9]=1\n"
            "              ^\n");
  for (const char* text : {"",
                           "=",
                           "=1",
                           "layer[",
                           "layer[=",
                           "layer[conv1",
                           "layer[conv1]",
                           "layer[conv1]=",
                           "layer[]=1",
                           "layer[conv1].=1",
                           "layer[conv1]..type=x",
                           "layer[conv1].param.lr_mult=1",
                           "net.",
                           "net.=",
                           "layer[conv1].param[x].lr_mult=1",
                           "layer[conv1].param[-1].lr_mult=1",
                           "layer.name=x",
                           "layer[conv1].param[99999999999].lr_mult=1",
                           "stepvalue[99999]=1",
                           "base_lr[0]=1",
                           "base_lr=",
                           "base_lr=\"",
                           "solver_mode=TPU",
                           "train_state=3",
                           "train_state={level: x}"})
    EXPECT_NE(problem(text), "") << text;
}

// A net with TRAIN and TEST layers of the same name, as in most of Caffe's examples, for one or both phases.
struct TwoPhases {
  caffe::NetParameter nets[2];
  Positions positions[2];
  Diagnostics diagnostics;

  TwoPhases(const std::string& assignment, const std::vector<caffe::Phase>& phases,
            const std::string& test_type = "Data") {
    const std::string text = R"(
layer { name: "data" type: "Data" include { phase: TRAIN } data_param { batch_size: 64 } }
layer { name: "data" type: ")" +
                             test_type + R"(" include { phase: TEST } transform_param { scale: 2 } }
layer { name: "only_train" type: "ReLU" include { phase: TRAIN } })";
    std::vector<OverriddenNet> overridden;
    for (size_t i = 0; i < phases.size(); ++i) {
      parse_prototxt(text, "net.prototxt", &nets[i], &positions[i], &diagnostics);
      overridden.push_back({&nets[i], &positions[i], caffe::NetState()});
      overridden.back().state.set_phase(phases[i]);
    }
    apply_layer_override(assignment, overridden, &diagnostics);
  }
};

TEST(Override, SetsTheLayersOfThePhase) {
  const TwoPhases test("layer[data].data_param.batch_size=7", {caffe::TEST});
  EXPECT_EQ(test.nets[0].layer(0).data_param().batch_size(), 64u);
  EXPECT_EQ(test.nets[0].layer(1).data_param().batch_size(), 7u);
  EXPECT_TRUE(test.diagnostics.list().empty());
  const TwoPhases both("layer[data].data_param.batch_size=7", {caffe::TRAIN, caffe::TEST});
  EXPECT_EQ(both.nets[0].layer(0).data_param().batch_size(), 7u);
  EXPECT_EQ(both.nets[1].layer(1).data_param().batch_size(), 7u);
}

TEST(Override, SelectsTheTypeThatHasTheField) {
  const TwoPhases own("layer[data].data_param.batch_size=7", {caffe::TRAIN, caffe::TEST}, "ImageData");
  EXPECT_EQ(own.nets[0].layer(0).data_param().batch_size(), 7u);
  EXPECT_FALSE(own.nets[1].layer(1).has_data_param());
  EXPECT_TRUE(own.diagnostics.list().empty());
  const TwoPhases common("layer[data].transform_param.scale=3", {caffe::TRAIN, caffe::TEST}, "ImageData");
  EXPECT_EQ(common.nets[0].layer(0).transform_param().scale(), 3);
  EXPECT_EQ(common.nets[1].layer(1).transform_param().scale(), 3);
}

TEST(Override, WarnsIfALayerIsInNoNet) {
  EXPECT_EQ(TwoPhases("layer[only_train].type=TanH", {caffe::TEST}).diagnostics.render(),
            "--set: warning: this has no effect: no layer \"only_train\" that uses type is in the TEST net\n"
            "    layer[only_train].type=TanH\n"
            "          ^~~~~~~~~~\n");
  EXPECT_EQ(TwoPhases("layer[data].data_param.batch_size=7", {caffe::TEST}, "ImageData").diagnostics.error_count(), 0);
  EXPECT_EQ(TwoPhases("layer[data].data_param.batch_size=7", {caffe::TEST}, "ImageData").diagnostics.list().size(), 1u);
  EXPECT_TRUE(TwoPhases("layer[only_train].include={ phase: TEST }", {caffe::TEST}).diagnostics.list().empty());
}

}  // namespace
}  // namespace trainer
