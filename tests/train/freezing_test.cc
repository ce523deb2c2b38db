// Freezing: what is frozen keeps its bits and costs nothing, and stages continue each other exactly.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "captured_log.h"
#include "session/state_names.h"
#include "train/small_training.h"
#include "train/train_net.h"

namespace trainer {
namespace {

const char* const kSolver = "base_lr: 0.05 lr_policy: 'fixed' momentum: 0.9 weight_decay: 0.01 ";

// A batch of constants: x is 3, and the target 1.
std::string numbers_net(const std::string& use_global_stats) {
  return R"(
layer { name: "x" type: "DummyData" top: "x" top: "t" dummy_data_param {
  shape { dim: 2 dim: 1 } shape { dim: 2 dim: 1 }
  data_filler { type: "constant" value: 3 } data_filler { type: "constant" value: 1 } } }
layer { name: "bn" type: "BatchNorm" bottom: "x" top: "y" batch_norm_param { )" +
         use_global_stats + R"( }
  blobs { shape { dim: 1 } data: 4 } blobs { shape { dim: 1 } data: 8 } blobs { shape { dim: 1 } data: 2 } }
layer { name: "ip" type: "InnerProduct" bottom: "y" top: "ip" blobs { shape { dim: 1 dim: 1 } data: 0.5 }
  inner_product_param { num_output: 1 bias_term: false } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "t" top: "loss" }
)";
}

// The stored mean is 4 / 2 and the variance 8 / 2; SGD with momentum by hand.
TEST(Freezing, BatchNormUsesItsStoredStatistics) {
  const double y = (3.0 - 2.0) / std::sqrt(4.0 + 1e-5);
  double weight = 0.5, velocity = 0;
  for (int i = 0; i < kTrainNetIterations; ++i) {
    velocity = 0.9 * velocity + 0.05 * 4 * (weight * y - 1) * y;
    weight -= velocity;
  }
  for (const char* global : {"", "use_global_stats: false"}) {
    const TempFolder folder;
    const WeightFile file = train_net(folder, "w", numbers_net(global), {},
                                      "freeze { pattern: 'b?' } param_rule { pattern: 'ip' lr_mult: 4 }");
    const WeightLayer& norm = layer_called(file, "bn");
    ASSERT_EQ(norm.blobs.size(), 3u);
    EXPECT_EQ(norm.blobs[0].data, std::vector<float>{4});
    EXPECT_EQ(norm.blobs[1].data, std::vector<float>{8});
    EXPECT_EQ(norm.blobs[2].data, std::vector<float>{2});
    EXPECT_NEAR(layer_called(file, "ip").blobs[0].data.at(0), weight, 1e-6);
  }
}

TEST(Freezing, FrozenLayersKeepTheirBits) {
  SmallTraining training;
  training.train("a", std::string(kSolver) + "max_iter: 10");
  training.weights = {training.folder() / "a_iter_10.caffemodel"};
  training.train("b", std::string(kSolver) + "max_iter: 10 freeze { pattern: '*' } fresh: 'ip2'");
  const WeightFile a = read_weights(training.weights[0]), b = read_weights(training.folder() / "b_iter_10.caffemodel");
  for (const char* layer : {"conv", "bn", "scale", "ip1", "lstm"}) {
    const WeightLayer &before = layer_called(a, layer), &after = layer_called(b, layer);
    ASSERT_GT(before.blobs.size(), 0u) << layer;
    for (size_t i = 0; i < before.blobs.size(); ++i) EXPECT_EQ(after.blobs[i].data, before.blobs[i].data) << layer;
  }
  EXPECT_NE(layer_called(b, "ip2").blobs[0].data, layer_called(a, "ip2").blobs[0].data);
}

// A fresh layer has the values of its filler, which depend on the seed, and may have another size than in the file.
TEST(Freezing, FreshLayersStartFromTheirFillers) {
  const std::string net = numbers_net("");
  const TempFolder folder;
  std::string wide = net;
  wide.replace(wide.find("num_output: 1"), 13, "num_output: 2");
  wide.replace(wide.find("dim: 2 dim: 1 }\n"), 15, "dim: 2 dim: 2 }");
  wide.replace(wide.find("blobs { shape { dim: 1 dim: 1 } data: 0.5 }"), 43, "");
  wide.replace(wide.find("bias_term: false"), 16, "weight_filler { type: 'xavier' } bias_term: false");
  train_net(folder, "w", net);
  const std::string weights = folder / fmt::format("w_iter_{}.caffemodel", kTrainNetIterations);
  EXPECT_THROW(train_net(folder, "v", wide, {weights}), Error);
  const std::string unlearned = "param_rule { pattern: 'ip' lr_mult: 0 decay_mult: 0 } freeze { pattern: 'bn' } ";
  const WeightFile alone = train_net(folder, "alone", wide, {}, unlearned);
  const WeightFile fresh = train_net(folder, "fresh", wide, {weights}, unlearned + "fresh: 'ip'");
  EXPECT_EQ(layer_called(fresh, "ip").blobs[0].data, layer_called(alone, "ip").blobs[0].data);
  EXPECT_EQ(layer_called(fresh, "bn").blobs[0].data, layer_called(read_weights(weights), "bn").blobs[0].data);
}

// A stage is a training with these settings of freeze that continues the one before.
TEST(Freezing, StagesAreTrainingsThatContinue) {
  for (const std::string type : {"", "type: 'Lion' ", "type: 'LARS' "}) {
    SCOPED_TRACE(type);
    const std::string fields = kSolver + type;
    SmallTraining training;
    const auto path = [&](const char* end) { return training.folder() / end; };
    training.train("a", fields +
                            "max_iter: 9 freeze { pattern: 'conv' } freeze { pattern: 'ip1' } "
                            "freeze { pattern: 'bn' }");
    training.train("a", fields + "max_iter: 14 freeze { pattern: 'conv' }", path("a_iter_9.solverstate"));
    training.train("a", fields + "max_iter: 20", path("a_iter_14.solverstate"));
    const CapturedLog log;
    training.train("b", fields +
                            "max_iter: 20 freeze { pattern: 'conv' until_epochs: 2 } "
                            "freeze { pattern: 'ip1' until_iter: 9 } freeze { pattern: 'bn' until_iter: 9 } ");
    EXPECT_TRUE(contains(log.text(), "Iteration 14: 168 more parameters are trained, those of conv"));
    EXPECT_TRUE(contains(log.text(),
                         "Trained parameters: 1,342 of 2,674, from iteration 9 on 2,506, from iteration 14 on 2,674"))
        << log.text();
    EXPECT_EQ(read_all(path("a_iter_20.caffemodel")), read_all(path("b_iter_20.caffemodel")));
  }
}

// The first step of Adam is the rate times the sign of the gradient.
TEST(Freezing, AdamCountsFromTheFirstUpdateOfAParameter) {
  SmallTraining training;
  training.train(
      "w",
      "type: 'Adam' base_lr: 0.0078125 lr_policy: 'fixed' momentum: 0.9 delta: 1e-16 max_iter: 8 snapshot: 7 "
      "freeze { pattern: 'ip1' until_iter: 7 }");
  const std::vector<float> before =
      layer_called(read_weights(training.folder() / "w_iter_7.caffemodel"), "ip1").blobs[0].data;
  const std::vector<float> after =
      layer_called(read_weights(training.folder() / "w_iter_8.caffemodel"), "ip1").blobs[0].data;
  int moved = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    const float step = std::abs(after[i] - before[i]);
    if (step == 0) continue;  // without a gradient: dropout
    ++moved;
    EXPECT_NEAR(step, 0.0078125, 1e-5);
  }
  EXPECT_GT(moved, 100);
}

struct Cost {
  int64_t states = 0, arena = 0, gradients = 0, backward_steps = 0;
  std::vector<std::string> backward_layers;
};

Cost cost_of(const std::string& fields) {
  Cost cost;
  SmallTraining training;
  training.train("w", std::string(kSolver) + "max_iter: 1 " + fields, "", 0, [&](Training& trained) {
    NetSession& net = trained.train_net();
    const std::shared_ptr<const Program> program = net.program(ProgramKind::kTrain);
    cost.states = trained.memory_plan().states;
    cost.arena = trained.memory_plan().activations;
    for (const std::string& state : program->states) cost.gradients += state.starts_with(kGradientGroup);
    for (const Step& step : program->steps) {
      if (step.op.pass() != Pass::kBackward) continue;
      ++cost.backward_steps;
      for (const LayerShare& share : step.op.shares) {
        if (share.layer < 0 || share.pass != Pass::kBackward) continue;
        const std::string& name = net.lowered().layers[static_cast<size_t>(share.layer)].param->name();
        if (std::find(cost.backward_layers.begin(), cost.backward_layers.end(), name) == cost.backward_layers.end())
          cost.backward_layers.push_back(name);
      }
    }
  });
  return cost;
}

// The floats of all parameters, each padded to a multiple of 16: 2,736, of ip2: 144. Each group has three times as
// many: weights, gradients and history. The other 2,544 parameters are weights only.
TEST(Freezing, FrozenLayersCostNothing) {
  const Cost all = cost_of(""), last = cost_of("freeze { pattern: '[!i]*' } freeze { pattern: 'ip1' }");
  EXPECT_EQ(last.gradients, 2);
  EXPECT_GT(all.gradients, 8);
  EXPECT_EQ(all.states - last.states, 4 * (3 * 2736 - (3 * 144 + 2544)));
  EXPECT_LT(last.arena, all.arena);
  EXPECT_LT(last.backward_steps, all.backward_steps / 2);
  std::vector<std::string> layers = last.backward_layers;
  std::sort(layers.begin(), layers.end());
  EXPECT_EQ(layers, (std::vector<std::string>{"ip2", "loss"}));
}

}  // namespace
}  // namespace trainer
