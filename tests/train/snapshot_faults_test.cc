// Behaviour of a training if a snapshot cannot be written or its data fail.
#include <sys/stat.h>

#include <filesystem>
#include <functional>

#include "base/error.h"
#include "captured_log.h"
#include "formats/temp_folder.h"
#include "test_environment.h"
#include "train/configure_training.h"
#include "train/training.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

// Ten single-colour pictures in two lists, which two layers read in parallel.
class SnapshotFaults : public testing::Test {
 protected:
  SnapshotFaults() {
    for (int i = 0; i < 10; ++i) write_picture(i);
    std::string list, other;
    for (int i = 0; i < 10; ++i) {
      list += fmt::format("{} {}\n", folder_ / "0.ppm", i % 3);
      other += fmt::format("{} {}\n", folder_ / fmt::format("{}.ppm", i), i % 3);
    }
    folder_.write("list", list);
    folder_.write("other", other);
    fs::create_directory(snapshots());
  }

  void write_picture(int i) {
    folder_.write(fmt::format("{}.ppm", i), "P6\n4 4\n255\n" + std::string(48, static_cast<char>(20 * i + 10)));
  }
  std::string snapshots() const { return folder_ / "snap"; }

  // `every` is called after each iteration with its number.
  void train(
      const std::string& fields, const std::string& snapshot = "", const std::function<void(int)>& every = [](int) {}) {
    const auto images = [&](const std::string& name) {
      return fmt::format(
          "layer {{ name: '{0}' type: 'ImageData' top: '{0}' top: '{0}_label' transform_param {{ scale: 0.01 }} "
          "image_data_param {{ source: '{1}' batch_size: 2 }} }}\n",
          name, folder_ / name);
    };
    const std::string net = folder_.write("net.prototxt", images("list") + images("other") + R"(
layer { name: "sum" type: "Eltwise" bottom: "list" bottom: "other" top: "sum" }
layer { name: "silence" type: "Silence" bottom: "list_label" }
layer { name: "ip" type: "InnerProduct" bottom: "sum" top: "ip"
  inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "drop" type: "Dropout" bottom: "ip" top: "ip" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "other_label" })");
    const std::string solver =
        folder_.write("solver.prototxt",
                      "net: '" + net + "' snapshot_prefix: '" + snapshots() +
                          "/x' base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 random_seed: 3 max_iter: 10 " + fields);
    Diagnostics diagnostics;
    TrainingFiles files = configure_training(solver, {}, &diagnostics);
    diagnostics.throw_if_errors();
    TrainingOptions options;
    options.devices = {test_device()};
    options.snapshot = snapshot;
    int iteration = 0;
    options.poll = [&] {
      every(++iteration);
      return StopRequest::kNone;
    };
    Training training(std::move(files), options);
    RunReport report;
    training.run(report);
  }

  // All log lines of a training with these fields.
  std::string log_of(
      const std::string& fields, const std::function<void(int)>& every = [](int) {}) {
    const CapturedLog log;
    train(fields, "", every);
    return log.text();
  }

  bool exists(int iteration) const {
    return fs::exists(snapshots() + fmt::format("/x_iter_{}.solverstate", iteration));
  }

  TempFolder folder_;
};

// The last bits equal those of a training with valid data: no stream continued without the other.
TEST_F(SnapshotFaults, BadDataEndTheRunWithASnapshotThatGoesOn) {
  train("");
  const std::string wanted = read_all(snapshots() + "/x_iter_10.caffemodel");
  ASSERT_FALSE(wanted.empty());
  fs::remove_all(snapshots());
  fs::create_directory(snapshots());

  folder_.write("9.ppm", "P6\n4 4\n255\ncut");
  const std::string error = data_error_of([&] { train(""); });
  const std::string state = snapshots() + "/x_iter_4.solverstate";
  EXPECT_TRUE(contains(error, "9.ppm"));
  EXPECT_TRUE(contains(error, "resume with --snapshot=" + state));
  write_picture(9);
  train("", state);
  EXPECT_TRUE(read_all(snapshots() + "/x_iter_10.caffemodel") == wanted);
}

TEST_F(SnapshotFaults, BadDataWriteNoSnapshotWhereNoneIsWanted) {
  folder_.write("9.ppm", "cut");
  data_error_of([&] { train("snapshot_after_train: false"); });
  EXPECT_TRUE(fs::is_empty(snapshots()));
}

TEST_F(SnapshotFaults, OneThatFailsIsTriedAgain) {
  const std::string away = folder_ / "away";
  const std::string log = log_of("snapshot: 5 display: 2", [&](int iteration) {
    if (iteration == 4) fs::rename(snapshots(), away);
    if (iteration == 7) fs::rename(away, snapshots());
  });
  EXPECT_TRUE(contains(log, "the next attempt is at the next display"));
  EXPECT_EQ(log.find("Snapshotting to binary proto file " + snapshots() + "/x_iter_5"), std::string::npos);
  EXPECT_TRUE(contains(log, "Snapshotting to binary proto file " + snapshots() + "/x_iter_8"));
  EXPECT_FALSE(exists(5));
  EXPECT_FALSE(exists(6));
  EXPECT_TRUE(exists(8));
  EXPECT_TRUE(exists(10));
}

TEST_F(SnapshotFaults, TheLastOneThatFailsIsAnError) {
  const std::string away = folder_ / "away";
  const std::string error = data_error_of([&] {
    train("snapshot: 3", "", [&](int iteration) {
      if (iteration == 7) fs::rename(snapshots(), away);
    });
  });
  EXPECT_TRUE(contains(error, "mkdir -p " + snapshots()));
  EXPECT_TRUE(contains(error, "resume with --snapshot=" + snapshots() + "/x_iter_6.solverstate"));
}

TEST_F(SnapshotFaults, WhatCannotBeReplacedIsFoundBeforeTheFirstIteration) {
  const auto refused = [&](const std::string& name, const std::string& reason) {
    const std::string error = data_error_of([&] { train("snapshot: 5", "", [](int) { FAIL() << "trained"; }); });
    EXPECT_TRUE(contains(error, snapshots() + "/" + name + ": it is " + reason));
    fs::remove(snapshots() + "/" + name);
  };
  folder_.write("snap/x_iter_5.caffemodel", "");
  ASSERT_EQ(::chmod((snapshots() + "/x_iter_5.caffemodel").c_str(), 0444), 0);
  refused("x_iter_5.caffemodel", "write-protected");
  fs::create_directory(snapshots() + "/x_iter_10.manifest");
  refused("x_iter_10.manifest", "a folder");
  ASSERT_EQ(::mkfifo((snapshots() + "/x_iter_10.solverstate").c_str(), 0600), 0);
  refused("x_iter_10.solverstate", "not a regular file");
  // Not due in this run.
  fs::create_directory(snapshots() + "/x_iter_7.manifest");
  EXPECT_NO_THROW(train("snapshot: 5"));
}

TEST_F(SnapshotFaults, WhatWillBeReplacedIsToldAtTheStart) {
  EXPECT_EQ(log_of("snapshot: 5").find("an earlier one"), std::string::npos);
  EXPECT_TRUE(contains(log_of("snapshot: 5"),
                       "This run replaces snapshots of an earlier one: " + snapshots() + "/x_iter_N for N = 5, 10"));
  EXPECT_EQ(log_of("snapshot: 3 snapshot_after_train: false").find("an earlier one"), std::string::npos);
}

}  // namespace
}  // namespace trainer
