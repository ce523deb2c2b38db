// Learning rates compared with numbers computed by hand.
#include "train/learning_rate.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <vector>

namespace trainer {
namespace {

caffe::SolverParameter solver_of(const std::string& text) {
  caffe::SolverParameter solver;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &solver)) << text;
  std::string field;
  EXPECT_EQ(check_learning_rate(solver, &field), "");
  return solver;
}

std::vector<float> rates_of(const std::string& text, int count) {
  const caffe::SolverParameter solver = solver_of(text);
  LearningRateState state;
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

}  // namespace
}  // namespace trainer
