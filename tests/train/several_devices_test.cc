// Compares training on several devices, of one process or each of a process of its own, with one device that makes all
// passes itself.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <functional>

#include "captured_log.h"
#include "data/small_data.h"
#include "device/test_gpu.h"
#include "formats/temp_folder.h"
#include "formats/weights.h"
#include "support/thread_group.h"
#include "test_environment.h"
#include "train/configure_training.h"
#include "train/progress.h"
#include "train/saved_states.h"
#include "train/training.h"

namespace trainer {
namespace {

// Whether each device has a process.
class SeveralDevices : public testing::TestWithParam<bool> {
 protected:
  SeveralDevices() { test::write_lmdb(folder_ / "lmdb", test::raw_records(53, 3, 10, 10)); }
  void SetUp() override {
    if (!has_devices(2)) GTEST_SKIP() << "it takes two GPUs";
    if (GetParam() && tests_run_on_gpu()) GTEST_SKIP() << "several processes run on CPUs";
  }

  static bool has_devices(int count) { return !tests_run_on_gpu() || has_gpus(count); }

  // Two layers in a row share the weights.
  std::string net_text(int batch) const {
    return fmt::format(R"(name: "net"
layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ scale: 0.01 }}
  data_param {{ source: "{}" backend: LMDB batch_size: {} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 6 kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "pool" top: "ip1"
  inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "wide" type: "InnerProduct" bottom: "ip1" top: "wide"
  inner_product_param {{ num_output: {} weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "narrow" type: "InnerProduct" bottom: "wide" top: "narrow"
  inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "shared1" type: "InnerProduct" bottom: "narrow" top: "s1" param {{ name: "w" }} param {{ name: "b" }}
  inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "relu" type: "ReLU" bottom: "s1" top: "s1" }}
layer {{ name: "shared2" type: "InnerProduct" bottom: "s1" top: "s2" param {{ name: "w" }} param {{ name: "b" }}
  inner_product_param {{ num_output: 10 }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "s2" bottom: "label" top: "loss" loss_weight: {} }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "s2" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
)",
                       folder_ / "lmdb", batch, width_, loss_weight_);
  }

  // A layer that carries its states from batch to batch and never resets them.
  std::string recurrent_net_text(int batch) const {
    return fmt::format(R"(name: "net"
layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ scale: 0.01 }}
  data_param {{ source: "{}" backend: LMDB batch_size: {} }} }}
layer {{ name: "x" type: "Reshape" bottom: "data" top: "x" reshape_param {{ shape {{ dim: 2 dim: {} dim: -1 }} }} }}
layer {{ name: "cont" type: "DummyData" top: "cont" dummy_data_param {{ shape {{ dim: 2 dim: {} }}
  data_filler {{ type: "constant" value: 1 }} }} }}
layer {{ name: "lstm" type: "LSTM" bottom: "x" bottom: "cont" top: "h"
  recurrent_param {{ num_output: 16 weight_filler {{ type: "uniform" min: -0.2 max: 0.2 }} }} }}
layer {{ name: "rows" type: "Reshape" bottom: "h" top: "rows" reshape_param {{ shape {{ dim: {} dim: -1 }} }} }}
layer {{ name: "ip" type: "InnerProduct" bottom: "rows" top: "ip" inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }}
)",
                       folder_ / "lmdb", batch, batch, batch, batch);
  }

  // The weights, layer by layer, after training on this many devices.
  std::vector<float> train(int devices, int batch, int iter_size, int iterations, const std::string& snapshot = "",
                           bool divide = false) {
    const std::string net = folder_.write("net.prototxt", recurrent_ ? recurrent_net_text(batch) : net_text(batch));
    const std::string solver = folder_.write(
        "solver.prototxt",
        fmt::format("net: \"{}\" snapshot_prefix: \"{}\" random_seed: 3 base_lr: {} momentum: 0.9 lr_policy: \"fixed\" "
                    "weight_decay: 0.01 iter_size: {} max_iter: {} {}",
                    net, folder_ / "w", rate_, iter_size, iterations, more_));
    TrainingOptions options;
    options.snapshot = snapshot;
    options.devices = {test_device()};
    options.poll = poll_;
    if (GetParam() && devices > 1) {
      for (const auto& thrown : test::run_ranks(devices, [&](Group& group) {
             TrainingOptions own = options;
             own.group = &group;
             if (!group.is_first()) own.snapshot.clear();  // as open_training does
             const std::string weights = folder_ / fmt::format("weights{}.caffemodel", group.rank());
             run(solver, own, divide ? devices : 1, weights);
           }))
        if (thrown) std::rethrow_exception(thrown);
      for (int rank = 1; rank < devices; ++rank)
        EXPECT_EQ(weights_of("weights0.caffemodel"), weights_of(fmt::format("weights{}.caffemodel", rank)));
    } else {
      for (int i = 1; i < devices; ++i)
        options.devices.push_back(tests_run_on_gpu() ? DeviceSpec::cuda(i) : DeviceSpec());
      run(solver, options, divide ? devices : 1, folder_ / "weights0.caffemodel");
    }
    return weights_of(fmt::format("w_iter_{}{}.caffemodel", iterations, average_));
  }

  static void run(const std::string& solver, const TrainingOptions& options, int parts, const std::string& weights) {
    Diagnostics diagnostics;
    TrainingFiles files = configure_training(solver, {}, &diagnostics);
    diagnostics.throw_if_errors();
    divide_batches(&files, parts);
    RunReport report;
    Training training(std::move(files), options);
    training.run(report);
    training.save_weights(weights);
  }

  // The weights of a file, layer by layer.
  std::vector<float> weights_of(const std::string& file) const {
    std::vector<float> weights;
    for (const WeightLayer& layer : read_weights(folder_ / file).layers) {
      for (const auto& blob : layer.blobs) weights.insert(weights.end(), blob.data.begin(), blob.data.end());
    }
    return weights;
  }

  static void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    ASSERT_GT(a.size(), 500u);
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-5) << i;
  }

  TempFolder folder_;
  std::string more_;     // fields of the solver
  std::string average_;  // "_ema" compares the averages
  std::function<StopRequest()> poll_ = [] { return StopRequest::kNone; };
  bool recurrent_ = false;
  int width_ = 10;
  float rate_ = 0.1f, loss_weight_ = 1;
};

INSTANTIATE_TEST_SUITE_P(OneOrManyProcesses, SeveralDevices, testing::Bool(),
                         [](const auto& info) { return info.param ? "Processes" : "Devices"; });

TEST_P(SeveralDevices, DoWhatOneDoesInSeveralPasses) {
  const std::vector<float> one = train(1, 4, 6, 5);
  if (has_devices(3)) expect_near(train(3, 4, 2, 5), one);
  expect_near(train(2, 4, 3, 5), one);
}

// More gradients than a bucket can hold.
TEST_P(SeveralDevices, SumInBuckets) {
  width_ = 150'000;
  rate_ = 1e-5f;
  expect_near(train(2, 4, 1, 3), train(1, 4, 2, 3));
}

TEST_P(SeveralDevices, SplitABatch) {
  more_ = "clip_gradients: 0.5";
  expect_near(train(2, 8, 1, 6, "", true), train(1, 8, 1, 6));
}

TEST_P(SeveralDevices, AverageTheSameWeights) {
  more_ = "type: 'AdamW' clip_adaptive: 0.2 clip_value: 0.05 ema { decay: 0.8 }";
  average_ = "_ema";
  rate_ = 0.001f;
  const std::vector<float> whole = train(2, 4, 3, 5);
  expect_near(whole, train(1, 4, 6, 5));
  train(2, 4, 3, 3);
  EXPECT_EQ(train(2, 4, 3, 5, folder_ / "w_iter_3.solverstate"), whole);
}

// "ip1" is between parameters that learn from the start.
TEST_P(SeveralDevices, UnfreezeTogether) {
  more_ = "clip_gradients: 0.5 freeze { pattern: 'conv' } freeze { pattern: 'ip1' until_iter: 3 }";
  const std::vector<float> whole = train(2, 8, 1, 6, "", true);
  expect_near(whole, train(1, 8, 1, 6));
  train(2, 8, 1, 2, "", true);
  EXPECT_EQ(train(2, 8, 1, 6, folder_ / "w_iter_2.solverstate", true), whole);
}

// 2^100 * 2^-103 is exactly 0.125.
TEST_P(SeveralDevices, GoBackAfterABadLoss) {
  rate_ = 0.125f;
  recurrent_ = true;
  const std::vector<float> low = train(2, 4, 1, 5);
  rate_ = 0x1p100f;
  more_ = "divergence { rate_factor: 9.860761315262648e-32 }";
  EXPECT_EQ(train(2, 4, 1, 5), low);
}

// An update makes parameters infinite, and the next test has a best value: no loss shows it before.
TEST_P(SeveralDevices, GoBackFromBestWeightsThatAreNotFinite) {
  rate_ = 0x1p127f;
  loss_weight_ = 0x1p20f;
  more_ =
      "test_iter: 2 test_interval: 1 test_initialization: false best { metric: 'accuracy' mode: MAX } "
      "divergence { retries: 1 }";
  const CapturedLog log;
  try {
    train(2, 4, 1, 3);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kDiverged);
    EXPECT_NE(std::string(error.what()).find("is not finite: no snapshot is written"), std::string::npos)
        << error.what();
    EXPECT_NE(std::string(error.what()).find("there were 1"), std::string::npos) << error.what();
  }
  EXPECT_NE(log.warnings().find("Retry 1 of 1"), std::string::npos) << log.warnings();
}

TEST_P(SeveralDevices, GoOnFromASnapshot) {
  const std::vector<float> whole = train(2, 4, 1, 7);
  train(2, 4, 1, 4);
  EXPECT_EQ(train(2, 4, 1, 7, folder_ / "w_iter_4.solverstate"), whole);
}

// No iteration remains, and the snapshot of the last one exists.
TEST_P(SeveralDevices, GoOnFromTheEnd) {
  const std::vector<float> whole = train(2, 4, 1, 5);
  EXPECT_EQ(train(2, 4, 1, 5, folder_ / "w_iter_5.solverstate"), whole);
}

// Before the first batch of a test, on one process; more batches follow.
TEST_P(SeveralDevices, WriteASnapshotThatIsAskedForInATest) {
  more_ = "test_iter: 6 test_interval: 5";
  std::atomic<int> polled = 0;
  poll_ = [&] { return ++polled == 1 ? StopRequest::kSnapshot : StopRequest::kNone; };
  train(2, 4, 1, 2);
  const caffe::SolverState state = read_solver_progress(folder_ / "w_iter_0.solverstate");
  ASSERT_EQ(state.test_passes_size(), 1);
  EXPECT_EQ(state.test_passes(0), 0u) << "a training that continues from it repeats the test";
}

// A process fails before its second batch of the first test.
TEST_P(SeveralDevices, RepeatATestThatALossBreaksOff) {
  if (!GetParam()) GTEST_SKIP() << "it takes two processes";
  const std::string net = folder_.write("net.prototxt", net_text(4));
  const std::string solver = folder_.write(
      "solver.prototxt", fmt::format("net: \"{}\" snapshot_prefix: \"{}\" random_seed: 3 base_lr: 0.1 max_iter: 2 "
                                     "lr_policy: \"fixed\" test_iter: 6 test_interval: 5",
                                     net, folder_ / "w"));
  SavedStates left;
  const auto thrown = test::run_ranks(2, [&](Group& group) {
    Diagnostics diagnostics;
    TrainingFiles files = configure_training(solver, {}, &diagnostics);
    diagnostics.throw_if_errors();
    TrainingOptions options;
    options.devices = {test_device()};
    options.group = &group;
    int polled = 0;
    options.poll = [&]() -> StopRequest {
      if (!group.is_first() && ++polled == 2) throw data_error("it fails");
      return StopRequest::kNone;
    };
    RunReport report;
    Training training(std::move(files), options);
    EXPECT_THROW(training.run(report), Error);
    if (group.is_first()) left = training.take_states().value();
  });
  for (const auto& error : thrown) EXPECT_EQ(test::message_of(error), "");
  ASSERT_EQ(left.progress.test_passes_size(), 1);
  EXPECT_EQ(left.progress.test_passes(0), 0u);
  for (const auto& [layer, cursor] : test_cursors(left.progress, 0)) EXPECT_EQ(cursor.records, 0u) << layer;
}

// It has nothing but another seed, and takes all from the process that continues.
TEST_P(SeveralDevices, ReadmitTheFirstProcess) {
  if (!GetParam()) GTEST_SKIP() << "it takes two processes";
  more_ = "type: 'Adam'";
  const std::vector<float> whole = train(2, 4, 1, 5);
  const std::string solver = folder_ / "solver.prototxt";
  std::optional<SavedStates> saved;
  const auto run_both = [&](int iterations, int first_seed) {
    const auto thrown = test::run_ranks(2, [&](Group& group) {
      ConfigureOptions configure;
      configure.edits.overrides = {fmt::format("max_iter={}", iterations),
                                   fmt::format("random_seed={}", group.is_first() ? first_seed : 3)};
      Diagnostics diagnostics;
      TrainingFiles files = configure_training(solver, configure, &diagnostics);
      diagnostics.throw_if_errors();
      TrainingOptions options;
      options.devices = {test_device()};
      options.group = &group;
      if (!group.is_first() && saved) options.saved = &*saved;
      RunReport report;
      Training training(std::move(files), options);
      training.run(report);
      if (!group.is_first() && !saved) saved = training.take_states();
    });
    for (const auto& error : thrown) EXPECT_EQ(test::message_of(error), "");
  };
  run_both(3, 3);
  run_both(5, 99);
  EXPECT_EQ(weights_of("w_iter_5.caffemodel"), whole);
  EXPECT_EQ(read_solver_progress(folder_ / "w_iter_5.solverstate").seed(), 3u);
}

TEST_P(SeveralDevices, GoOnWithWhatEachCarries) {
  recurrent_ = true;
  const std::vector<float> whole = train(2, 4, 1, 7);
  train(2, 4, 1, 4);
  const std::string snapshot = folder_ / "w_iter_4.solverstate";
  EXPECT_EQ(train(2, 4, 1, 7, snapshot), whole);
  // Fewer or more devices can continue, too.
  {
    const CapturedLog log;
    EXPECT_EQ(train(1, 4, 1, 7, snapshot).size(), whole.size());
    EXPECT_NE(log.text().find("The state is from more devices than 1"), std::string::npos) << log.text();
  }
  if (!has_devices(3)) return;
  const CapturedLog log;
  EXPECT_EQ(train(3, 4, 1, 7, snapshot).size(), whole.size());
  EXPECT_NE(log.text().find("start with zeros on device 3 of 3"), std::string::npos) << log.text();
  EXPECT_EQ(log.text().find("on device 2 of 3"), std::string::npos) << log.text();
}

TEST_P(SeveralDevices, ABatchThatCannotBeSplitIsNamed) {
  try {
    train(3, 8, 1, 1, "", true);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("net.prototxt:3"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("a batch of 8 cannot be split evenly among 3 devices"), std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace trainer
