// Averages in a training: their files, the tests that use them, and trainings that resume without one.
#include "train/weight_average.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/text.h"
#include "captured_log.h"
#include "formats/weights.h"
#include "train/small_training.h"

namespace trainer {
namespace {

const char* const kSolver =
    "base_lr: 0.02 lr_policy: 'fixed' momentum: 0.9 max_iter: 20 test_iter: 3 test_interval: 20 "
    "test_initialization: false ";

std::string with(const char* more) { return fmt::format("{} {}", kSolver, more); }

std::string test_lines(const std::string& log) {
  std::string lines;
  for (const std::string& line : split(log, '\n')) {
    const size_t at = line.find("Test net output");
    if (at != std::string::npos) lines += line.substr(at) + "\n";
  }
  return lines;
}

std::string listen(SmallTraining& training, const std::string& prefix, const std::string& solver,
                   const std::string& snapshot = "") {
  const CapturedLog log;
  training.train(prefix, solver, snapshot);
  return log.text();
}

// The last test of a training is the first test of one that starts from the file of the average.
TEST(WeightAverageFiles, TestsUseTheAverageOnRequest) {
  SmallTraining training;
  const std::string averaged = test_lines(listen(training, "a", with("ema { decay: 0.8 test: true }")));
  const std::string trained = test_lines(listen(training, "b", with("ema { decay: 0.8 }")));
  EXPECT_FALSE(averaged.empty());
  EXPECT_NE(averaged, trained);
  const auto tested_from = [&](const char* weights) {
    training.weights = {training.folder() / weights};
    return test_lines(listen(training, "c", "base_lr: 0 lr_policy: 'fixed' max_iter: 1 test_iter: 3 test_interval: 5"));
  };
  EXPECT_EQ(tested_from("a_iter_20_ema.caffemodel"), averaged);
  EXPECT_EQ(tested_from("b_iter_20.caffemodel"), trained);
  EXPECT_EQ(tested_from("a_iter_20.caffemodel"), trained);
}

TEST(WeightAverageFiles, KeepSnapshotsCountsASnapshotOnce) {
  SmallTraining training;
  training.train("k", with("ema { } snapshot: 4 keep_snapshots: 2"));
  for (const int iteration : {4, 8, 12, 16, 20}) {
    const std::string base = training.folder() / fmt::format("k_iter_{}", iteration);
    for (const char* ending : {".caffemodel", "_ema.caffemodel", ".solverstate", ".manifest"})
      EXPECT_EQ(std::filesystem::exists(base + ending), iteration >= 16) << base << ending;
  }
}

TEST(WeightAverageFiles, AChangedAverageIsRefused) {
  SmallTraining training;
  training.train("d", with("ema { }"));
  const std::string average = training.folder() / "d_iter_20_ema.caffemodel";
  std::filesystem::copy_file(training.folder() / "d_iter_20.caffemodel", average,
                             std::filesystem::copy_options::overwrite_existing);
  const std::string longer = "base_lr: 0.02 lr_policy: 'fixed' momentum: 0.9 max_iter: 22 ema { }";
  const std::string state = training.folder() / "d_iter_20.solverstate";
  EXPECT_TRUE(contains(data_error_of([&] { training.train("d", longer, state); }), "differ from their manifest"));
  std::filesystem::remove(average);
  std::filesystem::remove(training.folder() / "d_iter_20.manifest");
  EXPECT_TRUE(contains(data_error_of([&] { training.train("d", longer, state); }), "d_iter_20_ema.caffemodel"));
}

// The average begins with the weights of the snapshot: one update at decay 0.5 is half way from them to the next ones.
TEST(WeightAverageFiles, ATrainingMayBeginAnAverageWhenItResumes) {
  SmallTraining training;
  training.train("e", kSolver);
  const std::string said = listen(training, "f",
                                  "base_lr: 0.02 lr_policy: 'fixed' momentum: 0.9 max_iter: 21 "
                                  "ema { decay: 0.5 warmup: 0 }",
                                  training.folder() / "e_iter_20.solverstate");
  EXPECT_TRUE(contains(said, "The state has no average of the weights: the average starts from the weights"));
  const auto first_blob = [&](const char* file) {
    for (const WeightLayer& layer : read_weights(training.folder() / file).layers)
      if (layer.name == "ip2") return layer.blobs.front().data;
    return std::vector<float>();
  };
  const std::vector<float> before = first_blob("e_iter_20.caffemodel"), after = first_blob("f_iter_21.caffemodel"),
                           average = first_blob("f_iter_21_ema.caffemodel");
  ASSERT_FALSE(average.empty());
  for (size_t i = 0; i < average.size(); ++i)
    EXPECT_FLOAT_EQ(average[i], before[i] + 0.5f * (after[i] - before[i])) << i;
}

}  // namespace
}  // namespace trainer
