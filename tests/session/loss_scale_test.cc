// Loss scaling: an update gets the unscaled gradients to the bit; an update whose gradients overflow float16 changes
// nothing.
#include "session/loss_scale.h"

#include <gtest/gtest.h>

#include <limits>
#include <optional>

#include "base/error.h"
#include "session/cpu_without_refusal.h"
#include "session/state_names.h"
#include "train/update_rule.h"

namespace trainer {
namespace {

// Two parameters with an update rule, in each precision.
struct Bench {
  DeviceSession device_session;
  std::vector<ParameterInfo> parameters;
  std::optional<UpdateRule> update;

  Bench(const caffe::SolverParameter& solver, Precision precision)
      : device_session(std::make_unique<CpuWithoutRefusal>(), precision) {
    const auto add = [this](const char* state, const Shape& shape, float lr_mult) {
      ParameterInfo parameter;
      parameter.state = state;
      parameter.shape = shape;
      parameter.lr_mult = lr_mult;
      parameters.push_back(parameter);
    };
    add("a", Shape{3, 5}, 1);
    add("b", Shape{20}, 2);
    std::vector<StateInfo> values, gradients;
    std::vector<const ParameterInfo*> trained;
    for (const ParameterInfo& parameter : parameters) {
      values.push_back({parameter.state, parameter.shape});
      gradients.push_back({gradient_state(parameter.state), parameter.shape});
      trained.push_back(&parameter);
    }
    device_session.store.add_group(kParameterGroup, values);
    device_session.store.add_group(kGradientGroup, gradients);
    for (const ParameterInfo& parameter : parameters) fill(parameter.state, 0.7f);
    update.emplace(solver, trained, device_session);
  }

  void fill(const std::string& state, float factor) {
    std::vector<float> values(static_cast<size_t>(device_session.store.shape(state).count()));
    for (size_t i = 0; i < values.size(); ++i) values[i] = factor * (1.0f / static_cast<float>(i + 3) - 0.1f);
    device_session.store.write(state, values.data());
  }
  void step(int iteration, float scale) {
    for (const ParameterInfo& parameter : parameters)
      fill(gradient_state(parameter.state), scale * (1.0f + static_cast<float>(iteration)));
    update->prepare({0.1f}, iteration);
    update->run_after_loss();
  }
  float scalar(const char* state) const { return device_session.store.read(state).front(); }
  void set(const char* state, float value) { device_session.store.write(state, &value); }
};

class LossScale : public testing::Test {
 protected:
  static caffe::SolverParameter solver(const std::string& type) {
    caffe::SolverParameter solver;
    solver.set_type(type);
    solver.set_momentum(0.9f);
    solver.set_weight_decay(0.01f);
    solver.set_clip_gradients(0.5f);
    solver.set_iter_size(3);
    solver.set_snapshot_diff(true);
    return solver;
  }
  static void expect_same(const Bench& a, const Bench& b) {
    for (const std::string& state : a.device_session.store.names())
      EXPECT_EQ(a.device_session.store.read(state), b.device_session.store.read(state)) << state;
  }
};

TEST_F(LossScale, UpdatesAreThoseWithoutAScale) {
  for (const std::string& type : solver_types()) {
    SCOPED_TRACE(type);
    Bench plain(solver(type), Precision::kFP32), scaled(solver(type), Precision::kFP16);
    for (int i = 0; i < 3; ++i) {
      plain.step(i, 1);
      scaled.step(i, kFirstLossScale);
    }
    expect_same(plain, scaled);
    EXPECT_EQ(scaled.scalar(kGoodUpdates), 3);
  }
}

// With the mean over iter_size passes, all kinds of clipping and an average.
TEST_F(LossScale, ClippingAndAveragesAreThoseWithoutAScale) {
  for (const std::string& type : solver_types()) {
    for (const bool adaptive : {false, true}) {
      SCOPED_TRACE(type);
      caffe::SolverParameter clipped = solver(type);
      clipped.set_clip_value(0.02f);
      if (adaptive) clipped.set_clip_adaptive(0.1f);
      clipped.mutable_ema()->set_decay(0.75f);
      Bench plain(clipped, Precision::kFP32), scaled(clipped, Precision::kFP16);
      for (int i = 0; i < 3; ++i) {
        plain.step(i, 1);
        scaled.step(i, kFirstLossScale);
      }
      expect_same(plain, scaled);
      EXPECT_NE(plain.device_session.store.read(average_state("a")), plain.device_session.store.read("a"));
    }
  }
}

// The average of the iteration has the weights that did not change.
TEST_F(LossScale, ASkippedUpdateAdvancesTheAverage) {
  caffe::SolverParameter averaged = solver("SGD");
  averaged.mutable_ema()->set_decay(0.5f);
  averaged.mutable_ema()->set_warmup(0);
  Bench bench(averaged, Precision::kFP16);
  bench.step(0, kFirstLossScale);
  const std::vector<float> weights = bench.device_session.store.read("b");
  std::vector<float> expected = bench.device_session.store.read(average_state("b"));
  for (size_t i = 0; i < expected.size(); ++i) expected[i] += 0.5f * (weights[i] - expected[i]);
  bench.step(1, std::numeric_limits<float>::infinity());
  EXPECT_EQ(bench.device_session.store.read("b"), weights);
  EXPECT_EQ(bench.device_session.store.read(average_state("b")), expected);
}

TEST_F(LossScale, GradientsThatAreNotFiniteChangeNothing) {
  for (const std::string& type : solver_types()) {
    for (const float bad : {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
                            std::numeric_limits<float>::quiet_NaN()}) {
      SCOPED_TRACE(type);
      Bench bench(solver(type), Precision::kFP16), before(solver(type), Precision::kFP16);
      bench.step(0, kFirstLossScale);
      before.step(0, kFirstLossScale);
      std::vector<float> gradient(20, 1.0f);
      gradient[19] = bad;
      bench.device_session.store.write(gradient_state("b"), gradient.data());
      bench.update->prepare({0.1f}, 1);
      bench.update->run_after_loss();
      for (const std::string& state : before.device_session.store.names()) {
        if (state.starts_with(kLossScale) || state.starts_with(kGradientGroup)) continue;
        EXPECT_EQ(bench.device_session.store.read(state), before.device_session.store.read(state)) << state;
      }
      EXPECT_EQ(bench.device_session.store.read(gradient_state("b")), std::vector<float>(20, 0.0f))
          << "the step that a snapshot keeps";
      EXPECT_EQ(bench.scalar(kLossScale), kFirstLossScale / 2);
      EXPECT_EQ(bench.scalar(kGoodUpdates), 0);
      SkippedUpdates skipped(*bench.device_session.device, bench.device_session.store);
      skipped.start();
      EXPECT_EQ(skipped.describe(), "Skipped 1 update whose gradients float16 cannot hold; the loss scale is 32768");
      skipped.start();
      EXPECT_EQ(skipped.describe(), "");
    }
  }
}

TEST_F(LossScale, DoublesAfterManyGoodUpdatesWithinItsBounds) {
  Bench bench(solver("SGD"), Precision::kFP16);
  bench.set(kGoodUpdates, kStepsToDouble - 2);
  bench.step(0, 1);
  EXPECT_EQ(bench.scalar(kLossScale), kFirstLossScale);
  bench.step(0, 1);
  EXPECT_EQ(bench.scalar(kLossScale), 2 * kFirstLossScale);
  EXPECT_EQ(bench.scalar(kGoodUpdates), 0);
  bench.set(kLossScale, kMostLossScale);
  bench.set(kGoodUpdates, kStepsToDouble - 1);
  bench.step(0, 1);
  EXPECT_EQ(bench.scalar(kLossScale), kMostLossScale);
  bench.set(kLossScale, kLeastLossScale);
  bench.step(0, std::numeric_limits<float>::infinity());
  EXPECT_EQ(bench.scalar(kLossScale), kLeastLossScale);
}

TEST_F(LossScale, SnapshotsKeepIt) {
  Bench bench(solver("SGD"), Precision::kFP16), other(solver("SGD"), Precision::kFP16),
      plain(solver("SGD"), Precision::kFP32);
  bench.set(kLossScale, 64);
  bench.set(kGoodUpdates, 1234);
  caffe::SolverState state, empty;
  save_loss_scale(bench.device_session.store, &state);
  restore_loss_scale("x.solverstate", empty, other.device_session.store);
  EXPECT_EQ(other.scalar(kLossScale), kFirstLossScale);
  restore_loss_scale("x.solverstate", state, other.device_session.store);
  EXPECT_EQ(other.scalar(kLossScale), 64);
  EXPECT_EQ(other.scalar(kGoodUpdates), 1234);
  restore_loss_scale("x.solverstate", state, plain.device_session.store);
  save_loss_scale(plain.device_session.store, &empty);
  EXPECT_FALSE(empty.has_loss_scale());
  for (const float damaged : {0.0f, -4.0f, std::numeric_limits<float>::quiet_NaN(), 1e30f}) {
    state.set_loss_scale(damaged);
    EXPECT_THROW(restore_loss_scale("x.solverstate", state, other.device_session.store), Error) << damaged;
  }
}

}  // namespace
}  // namespace trainer
