// --scale_rate: numbers by hand.
#include "train/rate_scaling.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "train/learning_rate.h"

namespace trainer {
namespace {

const EpochLength kEpoch = {53, 8};  // 6.625 iterations
const EpochLength kEndless = {0, 8};

caffe::SolverParameter solver_of(const std::string& text) {
  caffe::SolverParameter solver;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &solver)) << text;
  return solver;
}

TEST(RateScaling, Linear) {
  caffe::SolverParameter solver = solver_of("base_lr: 0.1 final_lr: 0.001 lr_policy: 'cosine' max_iter: 5000");
  EXPECT_EQ(scale_rate(RateScaling::kLinear, 8, kEndless, &solver),
            "--scale_rate=linear: base_lr 0.1 x 8 devices = 0.8, warm-up over 500 iterations");
  EXPECT_FLOAT_EQ(solver.base_lr(), 0.8f);
  EXPECT_FLOAT_EQ(solver.final_lr(), 0.008f);
  EXPECT_EQ(solver.warmup_iter(), 500u);
  EXPECT_FLOAT_EQ(solver.warmup_start(), 0.125f);
  // It begins with the rate of one device, and ends at the scaled one.
  ScheduleState state;
  EXPECT_FLOAT_EQ(learning_rate(solver, 0, &state), 0.1f);
  EXPECT_FLOAT_EQ(learning_rate(solver, 250, &state), 0.45f);
  EXPECT_FLOAT_EQ(learning_rate(solver, 500, &state), 0.8f);
}

TEST(RateScaling, SquareRoot) {
  caffe::SolverParameter solver = solver_of("base_lr: 0.1 lr_policy: 'fixed' max_iter: 100000");
  EXPECT_EQ(scale_rate(RateScaling::kSqrt, 16, kEndless, &solver),
            "--scale_rate=sqrt: base_lr 0.1 x sqrt(16 devices) = 0.4, warm-up over 1,000 iterations");
  EXPECT_FLOAT_EQ(solver.base_lr(), 0.4f);
  EXPECT_FALSE(solver.has_final_lr());
  EXPECT_FLOAT_EQ(solver.warmup_start(), 0.25f);
}

// 5 epochs are 33.125 iterations.
TEST(RateScaling, TheWarmUpTakesFiveEpochs) {
  caffe::SolverParameter solver = solver_of("base_lr: 1 lr_policy: 'fixed' max_iter: 100000");
  scale_rate(RateScaling::kLinear, 2, kEpoch, &solver);
  EXPECT_EQ(solver.warmup_iter(), 34u);
  solver = solver_of("base_lr: 1 lr_policy: 'fixed' max_iter: 200");
  scale_rate(RateScaling::kLinear, 2, kEpoch, &solver);
  EXPECT_EQ(solver.warmup_iter(), 20u);
  solver = solver_of("base_lr: 1 lr_policy: 'fixed' max_iter: 9");
  EXPECT_EQ(scale_rate(RateScaling::kLinear, 2, kEpoch, &solver), "--scale_rate=linear: base_lr 1 x 2 devices = 2");
  EXPECT_FALSE(solver.has_warmup_iter());
  EXPECT_FALSE(solver.has_warmup_start());
}

TEST(RateScaling, AWarmUpOfTheSolverStays) {
  for (const char* warmup : {"lr_policy: 'fixed' warmup_iter: 7", "lr_policy: 'fixed' warmup_iter: 0",
                             "lr_policy: 'fixed' warmup_epochs: 0", "lr_policy: 'one_cycle'"}) {
    caffe::SolverParameter solver = solver_of(std::string("base_lr: 0.5 max_iter: 100000 ") + warmup);
    const uint32_t before = solver.warmup_iter();
    EXPECT_EQ(scale_rate(RateScaling::kLinear, 4, kEndless, &solver),
              "--scale_rate=linear: base_lr 0.5 x 4 devices = 2");
    EXPECT_EQ(solver.warmup_iter(), before);
    EXPECT_FALSE(solver.has_warmup_start());
  }
}

TEST(RateScaling, NothingToScale) {
  const caffe::SolverParameter before = solver_of("base_lr: 0.1 lr_policy: 'fixed' max_iter: 1000");
  caffe::SolverParameter solver = before;
  EXPECT_EQ(scale_rate(RateScaling::kNone, 8, kEpoch, &solver), "");
  EXPECT_EQ(scale_rate(RateScaling::kLinear, 1, kEpoch, &solver), "");
  EXPECT_EQ(solver.SerializeAsString(), before.SerializeAsString());
}

TEST(RateScaling, RatesStayFinite) {
  caffe::SolverParameter solver = solver_of("base_lr: 1e38 lr_policy: 'fixed' max_iter: 1000");
  try {
    scale_rate(RateScaling::kLinear, 8, kEpoch, &solver);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "--scale_rate=linear: base_lr 1e+38 becomes inf; set a lower base_lr");
  }
}

}  // namespace
}  // namespace trainer
