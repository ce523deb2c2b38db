// Learning rates compared with numbers computed by hand, of PyTorch 2.15 and of timm 1.0.
#include "train/learning_rate.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <vector>

namespace trainer {
namespace {

caffe::SolverParameter solver_of(const std::string& text) {
  caffe::SolverParameter solver;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &solver)) << text;
  EXPECT_FALSE(check_learning_rate(solver)) << text;
  return solver;
}

std::vector<float> rates_of(const std::string& text, int count) {
  const caffe::SolverParameter solver = solver_of(text);
  ScheduleState state;
  std::vector<float> rates;
  for (int i = 0; i < count; ++i) rates.push_back(learning_rate(solver, i, &state));
  return rates;
}

void expect_rates(const std::string& text, const std::vector<float>& expected) {
  SCOPED_TRACE(text);
  const std::vector<float> rates = rates_of(text, static_cast<int>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(rates[i], expected[i], 2e-6f * expected[i]) << "iteration " << i;
}

TEST(LearningRate, PoliciesOfCaffe) {
  expect_rates("lr_policy: 'fixed' base_lr: 0.1", {0.1f, 0.1f});
  expect_rates("lr_policy: 'step' base_lr: 0.8 gamma: 0.5 stepsize: 2", {0.8f, 0.8f, 0.4f, 0.4f, 0.2f});
  expect_rates("lr_policy: 'exp' base_lr: 0.8 gamma: 0.5", {0.8f, 0.4f, 0.2f, 0.1f});
  expect_rates("lr_policy: 'inv' base_lr: 0.9 gamma: 0.5 power: 2", {0.9f, 0.4f, 0.225f, 0.144f});
  expect_rates("lr_policy: 'multistep' base_lr: 0.8 gamma: 0.5 stepvalue: 1 stepvalue: 3", {0.8f, 0.4f, 0.4f, 0.2f});
  expect_rates("lr_policy: 'poly' base_lr: 0.8 power: 2 max_iter: 4", {0.8f, 0.45f, 0.2f, 0.05f});
  // 1 / (1 + e^2), 1 / (1 + e), 1 / 2.
  expect_rates("lr_policy: 'sigmoid' base_lr: 1 gamma: 1 stepsize: 2", {0.119202922f, 0.268941421f, 0.5f});
}

// cos(0), cos(pi/6), cos(pi/3), cos(pi/2), cos(2 pi/3), cos(5 pi/6).
TEST(LearningRate, CosineFallsToTheFinalRate) {
  expect_rates("lr_policy: 'cosine' base_lr: 1 max_iter: 6", {1, 0.933012702f, 0.75f, 0.5f, 0.25f, 0.0669872981f});
  expect_rates("lr_policy: 'cosine' base_lr: 0.5 final_lr: 0.1 max_iter: 6",
               {0.5f, 0.473205081f, 0.4f, 0.3f, 0.2f, 0.126794919f});
}

TEST(LearningRate, WarmUpRisesLinearly) {
  expect_rates("lr_policy: 'fixed' base_lr: 0.2 warmup_iter: 4", {0.05f, 0.1f, 0.15f, 0.2f, 0.2f});
  // The policy counts the iterations of the warm-up: 0.8/2, 0.8, then its step at iteration 2.
  expect_rates("lr_policy: 'step' base_lr: 0.8 gamma: 0.5 stepsize: 2 warmup_iter: 2", {0.4f, 0.8f, 0.4f, 0.4f, 0.2f});
  // A step inside the warm-up still counts: 0.8/4, 0.4*2/4, 0.4*3/4, 0.4.
  expect_rates("lr_policy: 'multistep' base_lr: 0.8 gamma: 0.5 stepvalue: 1 warmup_iter: 4",
               {0.2f, 0.2f, 0.3f, 0.4f, 0.4f});
  // The cosine begins after the warm-up.
  expect_rates("lr_policy: 'cosine' base_lr: 1 warmup_iter: 2 max_iter: 5", {0.5f, 1, 1, 0.75f, 0.25f});
  // The whole training is warm-up.
  expect_rates("lr_policy: 'cosine' base_lr: 1 warmup_iter: 4 max_iter: 4", {0.25f, 0.5f, 0.75f, 1});
}

// LinearLR(o, 0.25, 1.0, 4), in which the first iteration has the factor of the start.
TEST(LearningRate, WarmUpFromAFactor) {
  expect_rates("lr_policy: 'fixed' base_lr: 1 warmup_iter: 4 warmup_start: 0.25",
               {0.25f, 0.4375f, 0.625f, 0.8125f, 1, 1});
  // 0.01, 0.01^(3/4), 0.01^(1/2), 0.01^(1/4).
  expect_rates("lr_policy: 'fixed' base_lr: 1 warmup_iter: 4 warmup_start: 0.01 warmup_type: EXPONENTIAL",
               {0.01f, 0.0316227766f, 0.1f, 0.316227766f, 1});
}

TEST(LearningRate, LinearAndPolynomial) {
  // LinearLR(o, 1.0, 0.2, 8)
  expect_rates("lr_policy: 'linear' base_lr: 1 final_lr: 0.2 max_iter: 8",
               {1, 0.9f, 0.8f, 0.7f, 0.6f, 0.5f, 0.4f, 0.3f});
  expect_rates("lr_policy: 'linear' base_lr: 1 warmup_iter: 2 max_iter: 6", {0.5f, 1, 1, 0.75f, 0.5f, 0.25f});
  // PolynomialLR(o, 8, 2)
  expect_rates("lr_policy: 'poly' base_lr: 1 power: 2 max_iter: 8",
               {1, 0.765625f, 0.5625f, 0.390625f, 0.25f, 0.140625f, 0.0625f, 0.015625f});
  expect_rates("lr_policy: 'poly' base_lr: 1 final_lr: 0.2 power: 2 max_iter: 4", {1, 0.65f, 0.4f, 0.25f});
}

TEST(LearningRate, CosineRestarts) {
  // CosineAnnealingWarmRestarts(o, 4, eta_min=0.1)
  expect_rates("lr_policy: 'cosine' base_lr: 1 final_lr: 0.1 cycles: 3 max_iter: 12",
               {1, 0.868198052f, 0.55f, 0.231801948f, 1, 0.868198052f, 0.55f, 0.231801948f, 1, 0.868198052f, 0.55f,
                0.231801948f});
  // timm's CosineLRScheduler(o, t_initial=4, lr_min=0.1, cycle_decay=0.5, cycle_limit=3, warmup_t=2,
  // warmup_lr_init=0.2, warmup_prefix=True)
  expect_rates(
      "lr_policy: 'cosine' base_lr: 1 final_lr: 0.1 cycles: 3 cycle_decay: 0.5 max_iter: 14 warmup_iter: 2 "
      "warmup_start: 0.2",
      {0.2f, 0.6f, 1, 0.868198052f, 0.55f, 0.231801948f, 0.5f, 0.441421356f, 0.3f, 0.158578644f, 0.25f, 0.228033009f,
       0.175f, 0.121966991f});
}

TEST(LearningRate, OneCycle) {
  // OneCycleLR(o, 1.0, total_steps=20)
  expect_rates("lr_policy: 'one_cycle' base_lr: 1 final_lr: 4e-6 max_iter: 20",
               {0.04f,        0.131671843f, 0.371671843f, 0.668328157f, 0.908328157f,  1,         0.987464006f,
                0.950484632f, 0.890916178f, 0.811745654f, 0.716943002f, 0.611262022f,  0.500002f, 0.388741978f,
                0.283060998f, 0.188258346f, 0.109087822f, 0.049519368f, 0.0125399938f, 4e-06f});
  // OneCycleLR(o, 1.0, total_steps=10, pct_start=0.4, div_factor=10, final_div_factor=10)
  expect_rates("lr_policy: 'one_cycle' base_lr: 1 warmup_iter: 4 warmup_start: 0.1 final_lr: 0.01 max_iter: 10",
               {0.1f, 0.325f, 0.775f, 1, 0.933682575f, 0.7525f, 0.505f, 0.2575f, 0.0763174251f, 0.01f});
  // Too short to rise.
  expect_rates("lr_policy: 'one_cycle' base_lr: 1 max_iter: 1", {1});
}

TEST(LearningRate, FinalRateIsTheLowestOfPoliciesWithoutEnd) {
  expect_rates("lr_policy: 'step' base_lr: 0.8 gamma: 0.5 stepsize: 1 final_lr: 0.3", {0.8f, 0.4f, 0.3f, 0.3f});
  expect_rates("lr_policy: 'exp' base_lr: 0.8 gamma: 0.5 final_lr: 0.3 warmup_iter: 3",
               {0.266666667f, 0.266666667f, 0.3f, 0.3f});
}

}  // namespace
}  // namespace trainer
