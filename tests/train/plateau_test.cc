// Reductions of lr_policy "plateau" against torch.optim.lr_scheduler.ReduceLROnPlateau of PyTorch 2.15.
#include "train/plateau.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "train/schedule.h"

namespace trainer {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kMetric[] = {0.5f,  0.4f,  0.41f, 0.42f, 0.395f, 0.43f, 0.392f, 0.44f, 0.45f, 0.3f, 0.31f, 0.32f, 0.33f,
                             0.34f, 0.35f, 0.36f, 0.37f, 0.2f,   0.2f,  0.2f,   0.2f,  0.2f,  0.2f, kNan,  0.1f};

// The rate after each check.
std::vector<float> rates_of(const caffe::SolverParameter& solver) {
  ScheduleState state;
  std::vector<float> rates;
  for (float value : kMetric) {
    note_check(solver.plateau(), value, &state.plateau);
    rates.push_back(scheduled_values(solver, 0, &state).rate);
  }
  return rates;
}

caffe::SolverParameter plateau_solver(float gamma) {
  caffe::SolverParameter solver;
  solver.set_base_lr(1);
  solver.set_lr_policy("plateau");
  solver.set_gamma(gamma);
  return solver;
}

// ReduceLROnPlateau(o, patience=1, threshold=0.01, threshold_mode="abs", cooldown=2, factor=0.5, min_lr=0.1)
TEST(Plateau, OfASmallMetricWithCooldown) {
  caffe::SolverParameter solver = plateau_solver(0.5f);
  solver.set_final_lr(0.1f);
  solver.mutable_plateau()->set_patience(1);
  solver.mutable_plateau()->set_min_delta(0.01f);
  solver.mutable_plateau()->set_cooldown(2);
  const std::vector<float> expected = {1,     1,     1,      0.5f,   0.5f,   0.5f,   0.5f, 0.25f, 0.25f,
                                       0.25f, 0.25f, 0.125f, 0.125f, 0.125f, 0.125f, 0.1f, 0.1f,  0.1f,
                                       0.1f,  0.1f,  0.1f,   0.1f,   0.1f,   0.1f,   0.1f};
  EXPECT_EQ(rates_of(solver), expected);
}

// ReduceLROnPlateau(o, patience=2, threshold=0, threshold_mode="abs", factor=0.1, mode="max", eps=0)
TEST(Plateau, OfALargeMetric) {
  caffe::SolverParameter solver = plateau_solver(0.1f);
  solver.mutable_plateau()->set_patience(2);
  solver.mutable_plateau()->set_mode(caffe::SolverParameter::MAX);
  const std::vector<float> rates = rates_of(solver);
  ASSERT_EQ(rates.size(), 25u);
  for (int check = 0; check < 25; ++check) {
    const float expected = static_cast<float>(std::pow(0.1, check / 3));
    EXPECT_NEAR(rates[static_cast<size_t>(check)], expected, 1e-6f * expected) << check;
  }
}

TEST(Plateau, TheTrainingLossIsAveraged) {
  caffe::SolverParameter solver = plateau_solver(0.1f);
  solver.set_stepsize(3);
  caffe::PlateauState state;
  double mean = 0;
  EXPECT_FALSE(note_training_loss(solver, 1, &state, &mean));
  EXPECT_FALSE(note_training_loss(solver, 2, &state, &mean));
  EXPECT_TRUE(note_training_loss(solver, 6, &state, &mean));
  EXPECT_EQ(mean, 3);
  EXPECT_FALSE(note_training_loss(solver, 5, &state, &mean));
}

}  // namespace
}  // namespace trainer
