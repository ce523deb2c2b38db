// The choice of the best weights, the early stop and their files.
#include "train/best.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <regex>
#include <vector>

#include "captured_log.h"
#include "formats/solver_state.h"
#include "train/small_training.h"

namespace trainer {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

caffe::SolverParameter solver_of(caffe::SolverParameter::MetricMode mode, uint32_t patience, float min_delta) {
  caffe::SolverParameter solver;
  solver.mutable_best()->set_mode(mode);
  solver.mutable_early_stop()->set_patience(patience);
  solver.mutable_early_stop()->set_min_delta(min_delta);
  return solver;
}

// The number of the test, from 0, that ends the training; -1 for none.
int stopping_test(const caffe::SolverParameter& solver, const std::vector<double>& values) {
  caffe::BestState state;
  for (size_t i = 0; i < values.size(); ++i)
    if (note_test(solver, values[i], &state)) return static_cast<int>(i);
  return -1;
}

// Counted by hand: the values that improve are 0, 1 and 4; the three tests after 4 do not.
TEST(EarlyStop, CountsTestsInSuccession) {
  const std::vector<double> values = {0.5, 0.6, 0.6, 0.55, 0.61, 0.61, 0.2, 0.6, 0.7};
  EXPECT_EQ(stopping_test(solver_of(caffe::SolverParameter::MAX, 3, 0), values), 7);
  EXPECT_EQ(stopping_test(solver_of(caffe::SolverParameter::MAX, 2, 0), values), 3);
  EXPECT_EQ(stopping_test(solver_of(caffe::SolverParameter::MAX, 1, 0), values), 2);
  EXPECT_EQ(stopping_test(solver_of(caffe::SolverParameter::MAX, 4, 0), values), -1);
}

// Small steps count as an improvement once they sum up to min_delta: the reference stays.
TEST(EarlyStop, MinDeltaIsFromTheLastImprovement) {
  const std::vector<double> values = {1, 0.9375, 0.875, 0.8125, 0.75, 0.75, 0.75};
  EXPECT_EQ(stopping_test(solver_of(caffe::SolverParameter::MIN, 3, 0.15625f), values), 6);
  EXPECT_EQ(stopping_test(solver_of(caffe::SolverParameter::MIN, 3, 0.25f), values), 3);
}

TEST(EarlyStop, NanIsNoImprovement) {
  EXPECT_EQ(stopping_test(solver_of(caffe::SolverParameter::MIN, 2, 0), {kNan, kNan}), 1);
  EXPECT_EQ(stopping_test(solver_of(caffe::SolverParameter::MIN, 2, 0), {kNan, 3, kNan, 2, kNan, kNan}), 5);
}

TEST(Best, IsStrictlyBetter) {
  caffe::BestParameter best;
  caffe::BestState state;
  EXPECT_FALSE(is_new_best(best, kNan, state));
  EXPECT_TRUE(is_new_best(best, -3, state));
  state.set_value(0.5);
  for (const auto& [value, max, min] : {std::tuple{0.5, false, false}, std::tuple{0.75, true, false},
                                        std::tuple{0.25, false, true}, std::tuple{kNan, false, false}}) {
    best.set_mode(caffe::SolverParameter::MAX);
    EXPECT_EQ(is_new_best(best, value, state), max) << value;
    best.set_mode(caffe::SolverParameter::MIN);
    EXPECT_EQ(is_new_best(best, value, state), min) << value;
  }
}

const std::string kShort = "base_lr: 0.05 lr_policy: 'fixed' momentum: 0.9 test_iter: 3 test_interval: 5 ";
const std::string kSolver = kShort + "max_iter: 40 snapshot: 5 ";

std::string listen(SmallTraining& training, const std::string& prefix, const std::string& solver) {
  const CapturedLog log;
  training.train(prefix, solver);
  return log.text();
}

// The weights that a test used are those of the snapshot of its iteration.
void expect_best_is_of_its_iteration(const std::string& solver, const std::string& average) {
  SmallTraining training;
  const std::string said = listen(training, "b", solver);
  std::smatch last;
  const std::regex line("[^]*Iteration ([0-9]+): accuracy = [0-9.]+, the new best; wrote [^ ]*/b_best.caffemodel\n");
  ASSERT_TRUE(std::regex_search(said, last, line));
  ASSERT_NE(last[1], "0");
  const std::string file = "b_iter_" + last[1].str() + average + ".caffemodel";
  EXPECT_TRUE(read_all(training.folder() / "b_best.caffemodel") == read_all(training.folder() / file)) << file;
}

TEST(BestFile, HasTheWeightsOfTheBestTest) {
  expect_best_is_of_its_iteration(kSolver + "best { metric: 'accuracy' mode: MAX }", "");
}

TEST(BestFile, HasTheAverageIfTestsUseIt) {
  expect_best_is_of_its_iteration(kSolver + "best { metric: 'accuracy' mode: MAX } ema { decay: 0.7 test: true }",
                                  "_ema");
}

TEST(BestFile, StaysWithoutSnapshots) {
  SmallTraining training;
  training.train("b", kSolver + "best { metric: 'loss' mode: MIN } keep_snapshots: 1");
  training.train("c", kShort + "max_iter: 40 best { metric: 'loss' mode: MIN } snapshot_after_train: false");
  EXPECT_FALSE(std::filesystem::exists(training.folder() / "b_iter_35.caffemodel"));
  EXPECT_FALSE(std::filesystem::exists(training.folder() / "c_iter_40.caffemodel"));
  EXPECT_FALSE(read_all(training.folder() / "b_best.caffemodel").empty());
  EXPECT_TRUE(read_all(training.folder() / "b_best.caffemodel") == read_all(training.folder() / "c_best.caffemodel"));
}

TEST(BestFile, AnotherMetricStartsAnew) {
  SmallTraining training;
  training.train("b", kSolver + "best { metric: 'accuracy' mode: MAX }");
  const CapturedLog log;
  training.train("b", kShort + "max_iter: 41 best { metric: 'loss' mode: MIN }",
                 training.folder() / "b_iter_40.solverstate");
  EXPECT_TRUE(contains(log.text(), "The metric of best has changed since the snapshot"));
  EXPECT_TRUE(contains(log.text(), "Iteration 40: loss = "));
}

// With a learning rate of 0 no test improves on the first one, at iteration 0: tests 5, 10 and 15 do not.
const std::string kStopping =
    "base_lr: 0 lr_policy: 'fixed' max_iter: 40 test_iter: 7 test_interval: 5 best { metric: 'loss' mode: MIN } ";

TEST(EarlyStop, EndsTheTrainingWithASnapshot) {
  SmallTraining training;
  training.train("s", kStopping + "early_stop { min_delta: 0.5 }", "", 0, [](Training&) {});
  const std::string state = training.folder() / "s_iter_15.solverstate";
  EXPECT_FALSE(std::filesystem::exists(training.folder() / "s_iter_40.solverstate"));
  // The counts are those before the test at iteration 15, which a resumed training repeats.
  EXPECT_EQ(read_solver_state(state).state.best().bad_tests(), 2u);
  const CapturedLog log;
  training.train("s", kStopping + "early_stop { min_delta: 0.5 }", state);
  EXPECT_TRUE(contains(log.text(), "Iteration 15: early stop: no improvement for 3 tests. The best loss is "));
  EXPECT_EQ(log.text().find("Iteration 15 ("), std::string::npos);
}

TEST(EarlyStop, MorePatienceContinues) {
  SmallTraining training;
  training.train("s", kStopping + "early_stop { min_delta: 0.5 }");
  const CapturedLog log;
  training.train("s", kStopping + "early_stop { min_delta: 0.5 patience: 5 }",
                 training.folder() / "s_iter_15.solverstate");
  EXPECT_TRUE(contains(log.text(), "Iteration 25: early stop: no improvement for 5 tests"));
}

}  // namespace
}  // namespace trainer
