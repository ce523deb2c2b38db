// Momentum and weight decay that change: their values and the updates that use them.
#include "train/schedule.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "session/state_names.h"
#include "test_environment.h"
#include "train/schedule_curves.h"
#include "train/update_rule.h"

namespace trainer {
namespace {

caffe::SolverParameter solver_of(const std::string& text) {
  caffe::SolverParameter solver;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &solver)) << text;
  EXPECT_TRUE(check_schedule(solver).empty());
  return solver;
}

// Of PyTorch 2.15: OneCycleLR(o, 1.0, total_steps=10, pct_start=0.4, base_momentum=0.8, max_momentum=0.9)
TEST(Schedule, MomentumOfOneCycle) {
  const caffe::SolverParameter solver =
      solver_of("base_lr: 1 lr_policy: 'one_cycle' warmup_iter: 4 max_iter: 10 momentum: 0.9 min_momentum: 0.8");
  const float expected[] = {0.9f, 0.875f, 0.825f, 0.8f, 0.80669873f, 0.825f, 0.85f, 0.875f, 0.89330127f, 0.9f};
  ScheduleState state;
  for (int i = 0; i < 10; ++i) EXPECT_FLOAT_EQ(scheduled_values(solver, i, &state).momentum, expected[i]) << i;
}

// cos(0), cos(pi/4), cos(pi/2), cos(3 pi/4).
TEST(Schedule, WeightDecay) {
  const std::string fields = "base_lr: 1 lr_policy: 'fixed' max_iter: 4 weight_decay: 0.5 final_weight_decay: 0.1 ";
  const float cosine[] = {0.5f, 0.441421356f, 0.3f, 0.158578644f}, linear[] = {0.5f, 0.4f, 0.3f, 0.2f};
  ScheduleState state;
  for (int i = 0; i < 4; ++i) {
    EXPECT_FLOAT_EQ(scheduled_values(solver_of(fields), i, &state).weight_decay, cosine[i]) << i;
    EXPECT_FLOAT_EQ(scheduled_values(solver_of(fields + "weight_decay_policy: 'linear'"), i, &state).weight_decay,
                    linear[i])
        << i;
  }
}

// torch.optim.Adam of PyTorch 2.15 in float64 with this OneCycleLR, and weight_decay set by the cosine before each
// step; the gradient is 0.5 * w + 0.1 * t - 0.3.
TEST(Schedule, AdamFollowsRateMomentumAndWeightDecay) {
  const caffe::SolverParameter solver = solver_of(
      "type: 'Adam' base_lr: 0.1 lr_policy: 'one_cycle' warmup_iter: 4 warmup_start: 0.1 final_lr: 0.001 max_iter: 10 "
      "momentum: 0.9 min_momentum: 0.8 momentum2: 0.99 delta: 1e-12 weight_decay: 0.2 final_weight_decay: 0.02");
  const double expected[] = {0.99,       0.960177511, 0.896006977, 0.810604779, 0.723858787,
                             0.64814528, 0.592973384, 0.562453987, 0.552858747, 0.551598099};
  DeviceSession session(test_device());
  ParameterInfo parameter;
  parameter.state = "w";
  parameter.shape = Shape{1};
  session.store.add_group(kParameterGroup, {{"w", Shape{1}}});
  session.store.add_group(kGradientGroup, {{gradient_state("w"), Shape{1}}});
  UpdateRule update(solver, {&parameter}, session);
  float weight = 1;
  session.store.write("w", &weight);
  ScheduleState state;
  for (int t = 0; t < 10; ++t) {
    const float gradient = 0.5f * weight + 0.1f * static_cast<float>(t) - 0.3f;
    session.store.write(gradient_state("w"), &gradient);
    update.prepare(scheduled_values(solver, t, &state), t);
    if (Program* program = update.program_after_pass()) program->run({});
    update.run_after_loss();
    weight = session.store.read("w").front();
    EXPECT_NEAR(weight, expected[t], 2e-6) << t;
  }
}

TEST(Schedule, CurvesOfALongTrainingAreSampled) {
  const std::vector<Series> curves =
      schedule_curves(solver_of("base_lr: 1 lr_policy: 'linear' max_iter: 2000000000 momentum: 0.9 weight_decay: 0.1 "
                                "final_weight_decay: 0"));
  ASSERT_EQ(curves.size(), 2u);
  EXPECT_LE(curves[0].points.size(), 1001u);
  EXPECT_EQ(curves[0].points.back().iteration, 1999999999);
  EXPECT_EQ(curves[1].name, "weight decay");
}

}  // namespace
}  // namespace trainer
