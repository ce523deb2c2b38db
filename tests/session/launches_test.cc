// Compares the launches that kernels declare (KernelCost) with those that the emulated GPU receives, step by step, for
// whole training passes.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "config/prototxt.h"
#include "device/test_gpu.h"
#include "session/net_session.h"
#include "session/parameters.h"
#include "train/update_rule.h"

namespace trainer {
namespace {

const char* const kLenet = R"(
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 1 dim: 12 dim: 12 } shape { dim: 4 } data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "conv1" type: "Convolution" bottom: "data" top: "conv1"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "pool1" type: "Pooling" bottom: "conv1" top: "pool1" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "conv2" type: "Convolution" bottom: "pool1" top: "conv2"
  convolution_param { num_output: 16 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu2" type: "ReLU" bottom: "conv2" top: "conv2" }
layer { name: "ip1" type: "InnerProduct" bottom: "conv2" top: "ip1" inner_product_param { num_output: 300 weight_filler { type: "xavier" } } }
layer { name: "relu1" type: "ReLU" bottom: "ip1" top: "ip1" }
layer { name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2" inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
)";

// Images large enough to split sums into parts, groups of one channel, and a host op.
const char* const kBranches = R"(
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 8 dim: 3 dim: 24 dim: 24 } shape { dim: 8 } data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "lrn" type: "LRN" bottom: "conv" top: "lrn" }
layer { name: "depthwise" type: "Convolution" bottom: "lrn" top: "depthwise"
  convolution_param { num_output: 8 group: 8 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "max" type: "Pooling" bottom: "lrn" top: "max" pooling_param { pool: MAX kernel_size: 3 pad: 1 } }
layer { name: "concat" type: "Concat" bottom: "depthwise" bottom: "max" bottom: "lrn" top: "concat" }
layer { name: "drop" type: "Dropout" bottom: "concat" top: "concat" }
layer { name: "zoom" type: "Interp" bottom: "concat" top: "zoom" interp_param { height: 12 width: 12 } }
layer { name: "mean" type: "Pooling" bottom: "zoom" top: "mean" pooling_param { pool: AVE global_pooling: true } }
layer { name: "ip" type: "InnerProduct" bottom: "mean" top: "ip" inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
)";

const char* const kRecurrent = R"(
layer { name: "data" type: "DummyData" top: "data" top: "cont" top: "label" dummy_data_param {
  shape { dim: 5 dim: 3 dim: 12 } shape { dim: 5 dim: 3 } shape { dim: 5 dim: 3 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } data_filler { type: "constant" value: 1 } } }
layer { name: "lstm" type: "LSTM" bottom: "data" bottom: "cont" top: "lstm" recurrent_param { num_output: 8 weight_filler { type: "xavier" } } }
layer { name: "rnn" type: "RNN" bottom: "lstm" bottom: "cont" top: "rnn" recurrent_param { num_output: 8 weight_filler { type: "xavier" } } }
layer { name: "ip" type: "InnerProduct" bottom: "rnn" top: "ip" inner_product_param { num_output: 10 axis: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" softmax_param { axis: 2 } }
)";

class Launches : public testing::Test {
 protected:
  void SetUp() override {
    std::string reason;
    const std::unique_ptr<Device> gpu = open_test_gpu(&reason);
    if (gpu == nullptr) GTEST_SKIP() << reason;
    if (!is_emulated(*gpu)) GTEST_SKIP() << "only the emulated GPU counts";
  }
  void TearDown() override { unsetenv("EMULATED_CUDNN"); }

  // Checks each step of a training pass and of the update.
  void check(const char* net, Precision precision) {
    caffe::NetParameter param;
    Positions positions;
    Diagnostics diagnostics;
    ASSERT_TRUE(parse_prototxt(net, "net", &param, &positions, &diagnostics));
    DeviceOptions options;
    options.precision = precision;
    options.deterministic = true;  // no autotuning
    DeviceSession device_session(DeviceSpec::cuda(0), options);
    NetSession session(param, positions, caffe::TRAIN, 1, device_session);
    add_parameters(session.lowered(), 1, true, device_session.store);
    UpdateRule update(default_solver(), trained_parameters(session.lowered()), device_session);
    update.prepare({}, 0);
    session.queue_next(ProgramKind::kTrain, false, update.program_after_pass());
    session.finish();
    const int64_t pass = check(*session.program(ProgramKind::kTrain)), step = check(update.program());
    EXPECT_GT(pass, 20);
    EXPECT_GT(step, 0);
  }

 private:
  static int64_t check(const Program& program) {
    int64_t all = 0;
    for (const Step& step : program.steps) {
      const int64_t before = queued_on_emulated_gpu();
      step.kernel->run({});
      const int64_t queued = queued_on_emulated_gpu() - before;
      EXPECT_EQ(step.kernel->cost().launches, queued) << step.implementation << " " << name_of(step.op.kind);
      all += queued;
    }
    return all;
  }
};

TEST_F(Launches, AreThoseOfTheKernels) {
  for (const Precision precision : {Precision::kFP32, Precision::kBF16, Precision::kFP16}) {
    SCOPED_TRACE(name_of(precision));
    for (const char* net : {kLenet, kBranches, kRecurrent}) check(net, precision);
  }
}

TEST_F(Launches, AreThoseOfPassesAfterConvolutions) {
  for (const char* missing : {"absent-fusions", "absent-engines"}) {
    SCOPED_TRACE(missing);
    setenv("EMULATED_CUDNN", missing, 1);
    for (const char* net : {kLenet, kBranches}) check(net, Precision::kFP32);
  }
}

}  // namespace
}  // namespace trainer
