// On a GPU an update is queued with its pass, before the host has read the loss. It uses the rate of its iteration and
// the current weights, and it changes nothing after a bad pass.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "config/prototxt.h"
#include "device/test_gpu.h"
#include "session/net_session.h"
#include "session/parameters.h"
#include "session/state_names.h"
#include "train/update_rule.h"

namespace trainer {
namespace {

// With one weight w the loss is w * w / 2 and its gradient w.
const char* const kSquare = R"(
layer { name: "data" type: "DummyData" top: "x" top: "zero" dummy_data_param { shape { dim: 2 dim: 1 } shape { dim: 2 dim: 1 }
  data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 0 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: 1 bias_term: false weight_filler { type: "constant" value: 2 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "zero" top: "loss" }
)";
const char* const kWeight = "ip/0";

// The labels are 7.
const char* const kClasses = R"(
layer { name: "data" type: "DummyData" top: "x" top: "label" dummy_data_param { shape { dim: 2 dim: 4 } shape { dim: 2 }
  data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 7 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
  inner_product_param { num_output: CLASSES weight_filler { type: "constant" value: 2 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
)";

struct Bench {
  caffe::NetParameter param;
  Positions positions;
  DeviceSession device_session;
  std::optional<NetSession> net;
  std::optional<UpdateRule> update;

  Bench(const std::string& text, const caffe::SolverParameter& solver, Precision precision = Precision::kFP32)
      : device_session(DeviceSpec::cuda(0), options_of(precision)) {
    Diagnostics diagnostics;
    parse_prototxt(text, "net", &param, &positions, &diagnostics);
    diagnostics.throw_if_errors();
    net.emplace(param, positions, caffe::TRAIN, 1, device_session);
    add_parameters(net->lowered(), 1, true, device_session.store);
    update.emplace(solver, trained_parameters(net->lowered()), device_session);
  }
  static DeviceOptions options_of(Precision precision) {
    DeviceOptions options;
    options.precision = precision;
    options.deterministic = true;  // no autotuning
    return options;
  }

  void step(float rate, int iteration, bool outputs = false) {
    update->prepare({rate}, iteration);
    net->queue_next(ProgramKind::kTrain, outputs, update->program_after_pass());
    net->finish();
  }
  float weight() const { return device_session.store.read(kWeight).front(); }
  void set_weight(float weight) { device_session.store.write(kWeight, &weight); }
  // All states that the update may change, apart from the gradients.
  std::map<std::string, std::vector<float>> states() const {
    std::map<std::string, std::vector<float>> values;
    for (const std::string& state : device_session.store.names()) {
      if (!state.starts_with(kGradientGroup) && state != kPassLoss) values[state] = device_session.store.read(state);
    }
    return values;
  }
};

class UpdateAfterPass : public testing::Test {
 protected:
  void SetUp() override {
    std::string reason;
    const std::unique_ptr<Device> gpu = open_test_gpu(&reason);
    if (gpu == nullptr) GTEST_SKIP() << reason;
    emulated_ = is_emulated(*gpu);
  }

  static int64_t launches_of(const Program& program) {
    int64_t launches = 0;
    for (const Step& step : program.steps) launches += step.kernel->cost().launches;
    return launches;
  }

  bool emulated_ = false;
};

TEST_F(UpdateAfterPass, HasTheRateOfItsIteration) {
  caffe::SolverParameter solver;
  solver.set_clip_gradients(100);  // the norm is in the memory of the pass
  Bench bench(kSquare, solver);
  ASSERT_NE(bench.update->program_after_pass(), nullptr);
  float weight = 2;
  int iteration = 0;
  for (const float rate : {0.5f, 0.25f, 0.25f, 0.5f, 0.125f, 0.5f, 0.5f}) {
    const bool outputs = iteration % 3 == 2;
    bench.step(rate, iteration++, outputs);
    EXPECT_EQ(bench.net->loss(), weight * weight / 2) << iteration;
    if (outputs) {
      EXPECT_EQ(bench.net->read_outputs().front().front(), weight * weight / 2) << iteration;
    }
    weight -= rate * weight;
    EXPECT_EQ(bench.weight(), weight) << iteration;
  }
}

TEST_F(UpdateAfterPass, HasTheCorrectionOfItsIteration) {
  caffe::SolverParameter solver;
  solver.set_type("Adam");
  solver.set_momentum(0.5);
  solver.set_momentum2(0.75);
  solver.set_delta(0);
  Bench bench(kSquare, solver);
  double weight = 2, m = 0, v = 0;
  for (int i = 0; i < 5; ++i) {
    bench.step(0.125f, i);
    m = 0.5 * m + 0.5 * weight;
    v = 0.75 * v + 0.25 * weight * weight;
    weight -= 0.125 * std::sqrt(1 - std::pow(0.75, i + 1)) / (1 - std::pow(0.5, i + 1)) * m / std::sqrt(v);
    EXPECT_NEAR(bench.weight(), weight, 1e-5) << i;
  }
}

TEST_F(UpdateAfterPass, ReadsWeightsThatTheHostWrote) {
  Bench bench(kSquare, caffe::SolverParameter());
  for (int i = 0; i < 4; ++i) bench.step(0.5f, i);
  EXPECT_EQ(bench.weight(), 0.125f);
  bench.set_weight(16);
  bench.step(0.5f, 4);
  EXPECT_EQ(bench.net->loss(), 128);
  EXPECT_EQ(bench.weight(), 8);
}

TEST_F(UpdateAfterPass, ChangesNothingIfTheLossIsNotFinite) {
  for (const std::string& type : solver_types()) {
    for (const Precision precision : {Precision::kFP32, Precision::kFP16}) {
      for (const bool outputs : {false, true}) {
        SCOPED_TRACE(type + " " + name_of(precision));
        caffe::SolverParameter solver;
        solver.set_type(type);
        solver.set_momentum(0.5);
        solver.set_momentum2(0.5);
        solver.mutable_ema()->set_decay(0.5);
        Bench bench(kSquare, solver, precision);
        for (int i = 0; i < 3; ++i) bench.step(0.125f, i);
        EXPECT_NE(bench.weight(), 2);
        bench.set_weight(1e30f);
        const auto before = bench.states();
        bench.step(0.125f, 3, outputs);
        EXPECT_FALSE(std::isfinite(bench.net->loss()));
        EXPECT_EQ(bench.states(), before);
        bench.set_weight(2);
        bench.step(0.125f, 4, outputs);
        EXPECT_EQ(bench.net->loss(), 2);
        EXPECT_NE(bench.weight(), 2);
      }
    }
  }
}

TEST_F(UpdateAfterPass, ChangesNothingIfLabelsAreBad) {
  const auto with_classes = [](const char* classes) {
    std::string text = kClasses;
    return text.replace(text.find("CLASSES"), 7, classes);
  };
  for (const Precision precision : {Precision::kFP32, Precision::kFP16}) {
    Bench bad(with_classes("7"), default_solver(), precision), good(with_classes("8"), default_solver(), precision);
    for (int i = 0; i < 3; ++i) {
      const auto before = bad.states(), also_before = good.states();
      EXPECT_THROW(bad.step(0.5f, i), Error);
      EXPECT_EQ(bad.states(), before);
      good.step(0.5f, i);
      EXPECT_NE(good.states(), also_before);
    }
  }
}

// Beside the kernels of pass and update, copies bring the loss to the host, and the number of the pass and each new
// rate to the GPU.
TEST_F(UpdateAfterPass, QueuesNothingElse) {
  if (!emulated_) GTEST_SKIP() << "only the emulated GPU counts";
  Bench bench(kSquare, default_solver());
  for (int i = 0; i < 3; ++i) bench.step(0.5f, i);
  const int64_t kernels = launches_of(*bench.net->program(ProgramKind::kTrain)) + launches_of(bench.update->program());
  for (int i = 3; i < 6; ++i) {
    const int64_t before = queued_on_emulated_gpu();
    bench.step(i < 5 ? 0.5f : 0.25f, i);
    EXPECT_EQ(queued_on_emulated_gpu() - before, kernels + (i < 5 ? 2 : 3)) << i;
  }
  EXPECT_EQ(launches_of(bench.update->program()), 1);
}

TEST_F(UpdateAfterPass, WaitsForTheHostIfDevicesTrainTogether) {
  DeviceSession device_session(DeviceSpec::cuda(0));
  device_session.world = 2;
  device_session.store.add_group(kParameterGroup, {{"a", Shape{3}}});
  device_session.store.add_group(kGradientGroup, {{gradient_state("a"), Shape{3}}});
  ParameterInfo parameter;
  parameter.state = "a";
  parameter.shape = Shape{3};
  EXPECT_EQ(UpdateRule(default_solver(), {&parameter}, device_session).program_after_pass(), nullptr);
}

}  // namespace
}  // namespace trainer
