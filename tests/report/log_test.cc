// The exact log lines that parsers for Caffe's log expect.
#include "report/log.h"

#include <glog/logging.h>
#include <gtest/gtest.h>

#include <limits>
#include <regex>
#include <sstream>

#include "cli/glog_sink.h"

namespace trainer {
namespace {

TEST(Log, NumbersAreFormattedLikeAnOstream) {
  for (double value : {0.01, 1e-5, 2.302585093, 123456789.0, 0.0, 100.0, -0.25, 1e6, 999999.5}) {
    std::ostringstream stream;
    stream << value;
    EXPECT_EQ(log_number(value), stream.str());
  }
  EXPECT_EQ(log_number(std::numeric_limits<double>::infinity()), "inf");
}

TEST(Log, LinesThatParsersRead) {
  EXPECT_EQ(solving_line("LeNet"), "Solving LeNet");
  EXPECT_EQ(iteration_line(100, 53.25, 1.8779, 100, 0.34567891),
            "Iteration 100 (53.25 iter/s, 1.8779s/100 iters), loss = 0.345679");
  EXPECT_EQ(final_loss_line(500, 0.25), "Iteration 500, loss = 0.25");
  EXPECT_EQ(learning_rate_line(100, 0.1f), "Iteration 100, lr = 0.1");
  EXPECT_EQ(train_output_line(0, "loss", 1.3345, 1), "    Train net output #0: loss = 1.3345 (* 1 = 1.3345 loss)");
  EXPECT_EQ(train_output_line(1, "aux", 2, 0.3f), "    Train net output #1: aux = 2 (* 0.3 = 0.6 loss)");
  EXPECT_EQ(testing_line(0, 1), "Iteration 0, Testing net (#1)");
  EXPECT_EQ(test_output_line(0, "acc", 0.625, 0), "    Test net output #0: acc = 0.625");
  EXPECT_EQ(test_loss_line(0.5), "Test loss: 0.5");
  EXPECT_EQ(snapshot_weights_line("a_iter_5.caffemodel", false),
            "Snapshotting to binary proto file a_iter_5.caffemodel");
  EXPECT_EQ(snapshot_weights_line("a_iter_5.caffemodel.h5", true), "Snapshotting to HDF5 file a_iter_5.caffemodel.h5");
  EXPECT_EQ(snapshot_state_line("a_iter_5.solverstate", false),
            "Snapshotting solver state to binary proto file a_iter_5.solverstate");
  EXPECT_EQ(snapshot_state_line("a_iter_5.solverstate.h5", true),
            "Snapshotting solver state to HDF5 file a_iter_5.solverstate.h5");
}

TEST(Log, PrefixHasNoYear) {
  set_up_logging("trainer_tests");
  testing::internal::CaptureStderr();
  log_info("Solving LeNet");
  google::FlushLogFiles(google::GLOG_INFO);
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(std::regex_match(
      line, std::regex("I[01]\\d[0-3]\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{6} +\\d+ log_test\\.cc:\\d+\\] Solving LeNet\n")))
      << line;
}

}  // namespace
}  // namespace trainer
