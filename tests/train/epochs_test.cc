// Fields in epochs become iterations, and intervals in epochs do not drift.
#include "train/epochs.h"

#include <google/protobuf/text_format.h>

#include "captured_log.h"
#include "train/schedule.h"
#include "train/small_training.h"

namespace trainer {
namespace {

const EpochLength kEpoch = {53, 8};  // 6.625 iterations

std::vector<int> due(const Interval& interval, int last) {
  std::vector<int> found;
  for (int i = 0; i <= last; ++i) {
    if (interval.due(i)) found.push_back(i);
  }
  return found;
}

TEST(Epochs, IntervalsOfIterations) {
  EXPECT_EQ(due(Interval(0, 0, kEpoch), 9), std::vector<int>());
  EXPECT_EQ(due(Interval(1, 0, kEpoch), 3), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(due(Interval(4, 0, kEpoch), 9), (std::vector<int>{0, 4, 8}));
}

// 53, 106, 159 and 212 records are complete in iterations 6.625, 13.25, 19.875 and 26.5.
TEST(Epochs, IntervalsOfEpochsEndWithTheEpochs) {
  EXPECT_EQ(due(Interval(7, 1, kEpoch), 30), (std::vector<int>{0, 7, 14, 20, 27}));
  EXPECT_EQ(due(Interval(4, 0.5f, kEpoch), 15), (std::vector<int>{0, 4, 7, 11, 14}));
  EXPECT_EQ(due(Interval(1, 0.01f, kEpoch), 3), (std::vector<int>{0, 1, 2, 3}));
  // A tenth of 1,000 records is 100 records, though 0.1 is no float.
  EXPECT_EQ(due(Interval(10, 0.1f, {1000, 10}), 30), (std::vector<int>{0, 10, 20, 30}));
}

TEST(Epochs, FieldsBecomeIterations) {
  caffe::SolverParameter solver;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "max_epochs: 4 test_interval_epochs: 1 display_epochs: 0.5 snapshot_epochs: 2 stepsize_epochs: 3 "
      "stepvalue_epochs: [1, 2.5] warmup_epochs: 0.25 freeze { pattern: 'a' until_epochs: 1.5 } freeze { until_iter: 3 "
      "}",
      &solver));
  resolve_epochs(kEpoch, &solver);
  EXPECT_EQ(solver.max_iter(), 27);
  EXPECT_EQ(solver.test_interval(), 7);
  EXPECT_EQ(solver.display(), 4);
  EXPECT_EQ(solver.snapshot(), 14);
  EXPECT_EQ(solver.stepsize(), 20);
  ASSERT_EQ(solver.stepvalue_size(), 2);
  EXPECT_EQ(solver.stepvalue(0), 7);
  EXPECT_EQ(solver.stepvalue(1), 17);
  EXPECT_EQ(solver.warmup_iter(), 2u);
  EXPECT_EQ(solver.freeze(0).until_iter(), 10);
  EXPECT_EQ(solver.freeze(1).until_iter(), 3);
  EXPECT_EQ(first_epoch_field(without_epochs(solver)), nullptr);
}

// 10 iterations have read 53 records, one epoch; each further one reads 8.
TEST(Epochs, ContinueWithOtherBatches) {
  const EpochLength epoch = {53, 8, 10, 53};
  EXPECT_EQ(due(Interval(7, 1, epoch), 40), (std::vector<int>{0, 10, 17, 24, 30, 37}));
  EXPECT_EQ(due(Interval(7, 0, epoch), 20), (std::vector<int>{0, 7, 14}));
  caffe::SolverParameter solver;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "max_epochs: 4 test_interval_epochs: 1 stepvalue_epochs: [1, 2.5] freeze { pattern: 'a' until_epochs: 1.5 }",
      &solver));
  resolve_epochs(epoch, &solver);
  EXPECT_EQ(solver.max_iter(), 30);  // 3 epochs are 159 records: 19.9 iterations
  EXPECT_EQ(solver.test_interval(), 7);
  EXPECT_EQ(solver.stepvalue(0), 10);
  EXPECT_EQ(solver.stepvalue(1), 20);
  EXPECT_EQ(solver.freeze(0).until_iter(), 14);
}

// The rate depends on the part of the epochs that is done, not on the iterations that it took.
TEST(Epochs, TheScheduleContinuesWithOtherBatches) {
  caffe::SolverParameter solver;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "base_lr: 1 lr_policy: 'cosine' max_epochs: 8 warmup_epochs: 1", &solver));
  const EpochLength start = {100, 10}, smaller = {100, 5, 40, 400}, larger = {100, 20, 40, 400};
  const auto rate = [&](const EpochLength& epoch, int iteration) {
    caffe::SolverParameter resolved = solver;
    resolve_epochs(epoch, &resolved);
    ScheduleState state;
    return Schedule(resolved, epoch).values(iteration, &state).rate;
  };
  for (const int epochs : {0, 1, 2, 3}) {
    EXPECT_FLOAT_EQ(rate(smaller, 40 + 20 * epochs), rate(start, 40 + 10 * epochs)) << epochs;
    EXPECT_FLOAT_EQ(rate(larger, 40 + 5 * epochs), rate(start, 40 + 10 * epochs)) << epochs;
  }
  solver.set_lr_policy("exp");
  solver.set_gamma(0.9f);
  EXPECT_FLOAT_EQ(rate(smaller, 60), rate(start, 60));
}

TEST(Epochs, TooManyIterations) {
  caffe::SolverParameter solver;
  solver.set_snapshot_epochs(1e30f);
  EXPECT_THROW(resolve_epochs(kEpoch, &solver), Error);
}

// With iter_size 2 an epoch is 53 / 16 iterations.
TEST(Epochs, OfATraining) {
  SmallTraining training;
  const CapturedLog log;
  training.train(
      "e",
      "base_lr: 0.01 lr_policy: 'step' gamma: 0.5 stepsize_epochs: 1 iter_size: 2 max_epochs: 3 "
      "test_iter: 2 test_interval_epochs: 1 display_epochs: 1 snapshot_epochs: 1 snapshot_after_train: false");
  const std::string text = log.text();
  for (const char* line :
       {"An epoch is 3.3125 iterations: 53 records, 16 in an iteration", "max_epochs: 3 is max_iter: 10",
        "stepsize_epochs: 1 is stepsize: 4", "Iteration 0, Testing net (#0)", "Iteration 4, Testing net (#0)",
        "Iteration 7, Testing net (#0)", "Iteration 10, Testing net (#0)", "Iteration 4, lr = 0.005",
        "Iteration 7, lr = 0.005"})
    EXPECT_NE(text.find(line), std::string::npos) << line << " is not in\n" << text;
  for (const char* name : {"e_iter_4.caffemodel", "e_iter_7.caffemodel", "e_iter_10.caffemodel"})
    EXPECT_TRUE(std::filesystem::exists(training.folder() / name)) << name;
}

}  // namespace
}  // namespace trainer
