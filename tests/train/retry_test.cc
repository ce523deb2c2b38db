// A training that goes back after a loss that is not finite equals one that had the lower rate from there on.
//
// 2^100 and 2^-103 are powers of two: a rate of 2^100 makes every training diverge, and 2^100 * 2^-103 is exactly
// 0.125.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "captured_log.h"
#include "formats/solver_state.h"
#include "train/small_training.h"

namespace trainer {
namespace {

const std::string kHigh = "base_lr: 1.2676506002282294e30 ", kLow = "base_lr: 0.125 ";
const std::string kRetry = "divergence { rate_factor: 9.860761315262648e-32 } ";

struct Case {
  const char* name;
  const char* solver;
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Retry : public testing::TestWithParam<Case> {
 protected:
  std::string solver(const std::string& more) const {
    return "lr_policy: 'fixed' weight_decay: 0.01 max_iter: 30 test_iter: 3 test_interval: 10 " +
           std::string(GetParam().solver) + more;
  }
  void expect_same(const std::string& a, const std::string& b) {
    for (const char* ending : {".caffemodel", "_ema.caffemodel", "_swa.caffemodel"}) {
      if (!std::filesystem::exists(training.folder() / (a + ending))) continue;
      EXPECT_TRUE(read_all(training.folder() / (a + ending)) == read_all(training.folder() / (b + ending))) << ending;
    }
    EXPECT_FALSE(read_all(training.folder() / (a + ".caffemodel")).empty());
  }
  caffe::SolverState state(const std::string& name) { return read_solver_state(training.folder() / name).state; }

  SmallTraining training;
};

TEST_P(Retry, FromTheStart) {
  training.train("low", solver(kLow));
  const CapturedLog log;
  training.train("high", solver(kHigh + kRetry));
  EXPECT_TRUE(contains(log.warnings(), "Retry 1 of 1: the training goes back to its start, with "));
  expect_same("low_iter_30", "high_iter_30");
  EXPECT_EQ(state("high_iter_30.solverstate").retries(), 1u);
}

TEST_P(Retry, FromASnapshotAndResumed) {
  training.train("low", solver(kLow + "snapshot: 12"));
  const std::string start = training.folder() / "low_iter_12.solverstate";
  {
    const CapturedLog log;
    training.train("high", solver(kHigh + kRetry + "snapshot: 18"), start);
    EXPECT_TRUE(contains(log.warnings(), "Retry 1 of 1: the training goes back to iteration 12 (" + start + ")"));
  }
  expect_same("low_iter_30", "high_iter_30");
  training.train("again", solver(kHigh + kRetry), training.folder() / "high_iter_18.solverstate");
  expect_same("low_iter_30", "again_iter_30");
}

INSTANTIATE_TEST_SUITE_P(Solvers, Retry,
                         testing::Values(Case{"Sgd", "momentum: 0.9 iter_size: 2 "},
                                         Case{"AdamWEma", "type: 'AdamW' momentum: 0.9 ema { } "},
                                         Case{"SwaBest",
                                              "momentum: 0.9 swa { interval: 3 } best { metric: 'loss' mode: MIN } "},
                                         // It goes back from a stage to the one before.
                                         Case{"Unfreezing",
                                              "momentum: 0.9 clip_gradients: 2 freeze { pattern: 'ip1' until_iter: 1 } "
                                              "freeze { pattern: 'conv' until_iter: 13 } "}),
                         [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

TEST(RetryLimit, EndsWithTheErrorOfTheLastOne) {
  SmallTraining training;
  const CapturedLog log;
  try {
    training.train("x", kHigh + "lr_policy: 'fixed' weight_decay: 0.01 max_iter: 30 divergence { retries: 2 }");
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kDiverged);
    EXPECT_TRUE(contains(error.what(), "The retries of divergence are used up: there were 2"));
  }
  EXPECT_TRUE(contains(log.warnings(), "Retry 1 of 2: the training goes back to its start, with 0.5 times its"));
  EXPECT_TRUE(contains(log.warnings(), "Retry 2 of 2: the training goes back to its start, with 0.25 times its"));
}

// The weights of the newest snapshot may be the cause.
TEST(RetryLimit, GoesFurtherBackAfterASecondFailure) {
  SmallTraining training;
  const std::string solver = "lr_policy: 'fixed' weight_decay: 0.01 ";
  training.train("x", kLow + solver + "max_iter: 12 snapshot: 4");
  const CapturedLog log;
  const std::string last = training.folder() / "x_iter_12.solverstate";
  EXPECT_THROW(training.train("x", kHigh + solver + "max_iter: 30 divergence { retries: 4 }", last), Error);
  const int iterations[] = {12, 8, 4, 4};
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(contains(log.warnings(),
                         fmt::format("Retry {} of 4: the training goes back to iteration {} (", i + 1, iterations[i])));
}

}  // namespace
}  // namespace trainer
