// The snapshot that `--snapshot=auto` chooses.
#include "train/latest_snapshot.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "captured_log.h"
#include "train/small_training.h"
#include "train/snapshot_files.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

class LatestSnapshot : public testing::Test {
 protected:
  void SetUp() override { train(""); }
  void train(const std::string& more) {
    training.train("a", "base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 max_iter: 12 snapshot: 4 " + more);
  }
  // The iteration of the choice, as text; the lines of the log are in `said`.
  std::string choose(const std::string& prefix = "a") {
    caffe::SolverParameter solver;
    solver.set_snapshot_prefix(training.folder() / prefix);
    const CapturedLog log;
    RunReport report;
    const std::string state = find_latest_snapshot(solver, report);
    said = log.text();
    return state.empty() ? "" : fs::path(state).filename().string();
  }
  std::string file(int iteration, const std::string& ending) {
    return training.folder() / fmt::format("a_iter_{}{}", iteration, ending);
  }
  void truncate(const std::string& path) { fs::resize_file(path, fs::file_size(path) / 2); }

  SmallTraining training;
  std::string said;
};

TEST_F(LatestSnapshot, HasTheLastIteration) {
  // Files may have been copied without their times.
  fs::last_write_time(file(4, ".solverstate"), fs::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_EQ(choose(), "a_iter_12.solverstate");
  EXPECT_EQ(said, "");
}

TEST_F(LatestSnapshot, PassesOverDamagedFiles) {
  truncate(file(12, ".solverstate"));
  truncate(file(8, ".caffemodel"));
  EXPECT_EQ(choose(), "a_iter_4.solverstate");
  EXPECT_TRUE(contains(said, "Skipped a damaged snapshot: " + file(12, ".solverstate")));
  EXPECT_TRUE(contains(said, "Skipped a damaged snapshot: " + file(8, ".solverstate")));
  // Without a manifest the files themselves show the damage.
  for (const int iteration : {8, 12}) fs::remove(file(iteration, ".manifest"));
  EXPECT_EQ(choose(), "a_iter_4.solverstate");
}

TEST_F(LatestSnapshot, PassesOverMissingFiles) {
  fs::remove(file(12, ".solverstate"));
  fs::remove(file(8, ".caffemodel"));
  EXPECT_EQ(choose(), "a_iter_4.solverstate");
  EXPECT_TRUE(contains(said, "has no solver state"));
  EXPECT_TRUE(contains(said, file(8, ".caffemodel")));
}

TEST_F(LatestSnapshot, NeedsTheAverage) {
  train("ema { }");
  EXPECT_EQ(choose(), "a_iter_12.solverstate");
  fs::remove(file(12, ".manifest"));
  fs::remove(file(12, "_ema.caffemodel"));
  EXPECT_EQ(choose(), "a_iter_8.solverstate");
}

TEST_F(LatestSnapshot, IsOfTheRunThatWroteLast) {
  const auto write = [&](const std::string& folder, const std::string& max_iter) {
    Diagnostics diagnostics;
    const std::string solver =
        training.write_files("a", "base_lr: 0.01 lr_policy: 'fixed' snapshot: 4 max_iter: " + max_iter);
    TrainingFiles files = configure_training(solver, {}, &diagnostics);
    TrainingOptions options;
    options.devices = {test_device()};
    options.run_folder = training.folder() / folder;
    RunReport report;
    Training(std::move(files), options).run(report);
  };
  write("first", "12");
  write("second", "8");
  EXPECT_EQ(choose(), "a_iter_8.solverstate");
  EXPECT_TRUE(contains(said, "Skipped " + file(12, ".solverstate") + ": it belongs to an earlier run"));
}

TEST_F(LatestSnapshot, MayNotExist) {
  EXPECT_EQ(choose("b"), "");
  EXPECT_TRUE(contains(said, "b has no snapshot; the training starts from the beginning"));
  for (const int iteration : {4, 8, 12}) truncate(file(iteration, ".solverstate"));
  EXPECT_EQ(choose(), "");
  EXPECT_TRUE(contains(said, "a has no intact snapshot; the training starts from the beginning"));
}

}  // namespace
}  // namespace trainer
