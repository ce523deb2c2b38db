// debug_info compared with numbers computed by hand, and training unchanged by it.
#include "config/prototxt.h"
#include "session/cpu_without_refusal.h"
#include "session/net_session.h"
#include "session/parameters.h"
#include "train/train_net.h"
#include "train/update_rule.h"

namespace trainer {
namespace {

// y = 0.5 * 2 + 0.5 * 2 = 2 in both rows; the losses' gradients are (y - t) / 2 and (y - z) / 2.
const char* const kNet = R"(name: "n"
layer { name: "data" type: "DummyData" top: "x" top: "t" top: "z" dummy_data_param {
  shape { dim: 2 dim: 2 } shape { dim: 2 dim: 1 } shape { dim: 2 dim: 1 }
  data_filler { value: 2 } data_filler { value: 1 } data_filler { value: 0 } } }
layer { name: "ip" type: "InnerProduct" bottom: "x" top: "y" param { name: "w" }
  inner_product_param { num_output: 1 weight_filler { value: 0.5 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" }
layer { name: "loss2" type: "EuclideanLoss" bottom: "y" bottom: "z" top: "loss2" })";

const std::string kForward = R"(    [Forward] Layer data, top blob x data: 2
    [Forward] Layer data, top blob t data: 1
    [Forward] Layer data, top blob z data: 0
    [Forward] Layer ip, top blob y data: 2
    [Forward] Layer ip, param blob w data: 0.5
    [Forward] Layer ip, param blob 1 data: 0
    [Forward] Layer y_ip_0_split, top blob y_ip_0_split_0 data: 2
    [Forward] Layer y_ip_0_split, top blob y_ip_0_split_1 data: 2
    [Forward] Layer loss, top blob loss data: 0.5
    [Forward] Layer loss2, top blob loss2 data: 2
)";
const std::string kBackward = R"(    [Backward] Layer loss2, bottom blob y_ip_0_split_1 diff: 1
    [Backward] Layer loss, bottom blob y_ip_0_split_0 diff: 0.5
    [Backward] Layer y_ip_0_split, bottom blob y diff: 1.5
)";

void expect_lines(Precision precision) {
  caffe::NetParameter net;
  Positions positions;
  Diagnostics diagnostics;
  parse_prototxt(kNet, "net.prototxt", &net, &positions, &diagnostics);
  diagnostics.throw_if_errors();
  DeviceSession device_session(std::make_unique<CpuWithoutRefusal>(), precision);
  NetSession session(net, positions, caffe::TRAIN, 1, device_session);
  add_parameters(session.lowered(), 1, true, device_session.store);
  caffe::SolverParameter solver;
  UpdateRule update(solver, trained_parameters(session.lowered()), device_session);
  std::string lines;
  session.set_debug_log([&](const std::string& line) { lines += line + "\n"; });

  session.run_next(ProgramKind::kForward);
  EXPECT_EQ(lines, kForward);

  lines.clear();
  session.run_next(ProgramKind::kTrain);
  EXPECT_EQ(lines, kForward + kBackward +
                       "    [Backward] Layer ip, param blob 0 diff: 6\n"
                       "    [Backward] Layer ip, param blob 1 diff: 3\n"
                       "    [Backward] All net params (data, diff): L1 norm = (1, 15); L2 norm = (0.707107, 9)\n");

  lines.clear();
  session.run_next(ProgramKind::kAccumulate);
  EXPECT_EQ(lines, kForward + kBackward +
                       "    [Backward] Layer ip, param blob 0 diff: 12\n"
                       "    [Backward] Layer ip, param blob 1 diff: 6\n"
                       "    [Backward] All net params (data, diff): L1 norm = (1, 30); L2 norm = (0.707107, 18)\n");

  lines.clear();
  session.set_debug_log(nullptr);
  session.run_next(ProgramKind::kTrain);
  EXPECT_EQ(lines, "");
}

TEST(DebugInfo, TellsMeansOfBlobsParametersAndGradients) { expect_lines(Precision::kFP32); }

TEST(DebugInfo, TellsGradientsWithoutTheLossScale) { expect_lines(Precision::kFP16); }

TEST(DebugInfo, LeavesTheTrainingAsItIs) {
  const std::string net = R"(
layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 4 dim: 2 dim: 3 dim: 3 } shape { dim: 4 dim: 5 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "gaussian" std: 1 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "c" convolution_param {
  num_output: 3 kernel_size: 2 weight_filler { type: "xavier" } } }
layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "drop" type: "Dropout" bottom: "c" top: "c" }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "y" inner_product_param {
  num_output: 5 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "y" bottom: "t" top: "loss" })";
  const TempFolder folder;
  const WeightFile plain = train_net(folder, "plain", net);
  const WeightFile told = train_net(folder, "told", net, {}, "debug_info: true display: 2 iter_size: 1");
  for (const char* name : {"conv", "bn", "ip"})
    expect_near_blobs(layer_called(plain, name), layer_called(told, name), 0);
}

}  // namespace
}  // namespace trainer
