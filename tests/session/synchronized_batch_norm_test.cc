// Synchronized batch normalization: several ranks, each a thread, against one device with their joint batch.
#include <gtest/gtest.h>

#include <exception>
#include <numeric>

#include "data/small_data.h"
#include "formats/temp_folder.h"
#include "formats/weights.h"
#include "layers/net_run.h"
#include "ops/opaque.h"
#include "ops/rank_sums.h"
#include "session/parameters.h"
#include "session/text_session.h"
#include "support/thread_group.h"
#include "train/training.h"

namespace trainer {
namespace {

// Runs `action` with the group of each rank, in a thread each, and throws what the first one threw.
template <typename Action>
void run_ranks(int size, const Action& action) {
  for (const std::exception_ptr& error : test::run_ranks(size, action))
    if (error) std::rethrow_exception(error);
}

class CountedSums : public RankSums {
 public:
  explicit CountedSums(Group& group) : group_(group) {}
  int ranks() const override { return group_.size(); }
  void sum(int number, std::span<float> values) override {
    numbers.push_back(number);
    group_.sum(values.data(), static_cast<int64_t>(values.size()));
  }

  std::vector<int> numbers;  // of the sums so far

 private:
  Group& group_;
};

// For graphs that do not run.
class NoSums : public RankSums {
 public:
  int ranks() const override { return 2; }
  void sum(int, std::span<float>) override { FAIL(); }
};

// What a rank, or one device alone, computes of a net with input "x", layer "bn" and output "y".
struct Computed {
  Numbers y, dx, mean, variance, weight;
};

Computed compute(const std::string& net_text, const Given& given, const Numbers& weights, int ranks = 1,
                 const std::shared_ptr<RankSums>& sums = nullptr) {
  NetText net(net_text, caffe::TRAIN, ranks, sums);
  EXPECT_EQ(net.problems(), "");
  const Value y = net.blob("y");
  const Value target = net.leaf("x");
  const Value weight = net.graph().add_source("test weights", y.shape());
  const Value scalar = reshape(sum(y * weight, all_axes(y.shape())), Shape{});
  const Value dx = differentiate(net.graph(), scalar, {target}).front();
  Given all = given;
  all["test weights"] = weights;
  const GraphRun run(net.graph(), all);
  return {run[y], run[dx], run.written("bn/0"), run.written("bn/1"), run.written("bn/2")};
}

std::string norm_net(const std::vector<int>& shape, const std::string& fields) {
  return input_layer("x", shape) +
         "layer { name: \"bn\" type: \"BatchNorm\" bottom: \"x\" top: \"y\" batch_norm_param { " + fields + " } }";
}

Numbers part(const Numbers& all, size_t begin, size_t count) {
  return Numbers(all.begin() + static_cast<long>(begin), all.begin() + static_cast<long>(begin + count));
}

// Each rank computes consecutive items: those of rank r are items[r] of {., 2, 1, 3}. Checks that the batches of all
// ranks together give `joint`.
void expect_together(const std::vector<int>& items, const Given& given, const Numbers& weights, const Computed& joint,
                     const std::string& fields) {
  std::vector<Computed> computed(items.size());
  run_ranks(static_cast<int>(items.size()), [&](Group& group) {
    const int rank = group.rank();
    const auto at = static_cast<size_t>(rank);
    const auto begin = 6 * static_cast<size_t>(std::accumulate(items.begin(), items.begin() + rank, 0));
    const auto count = 6 * static_cast<size_t>(items[at]);
    Given own = given;
    own["x"] = part(given.at("x"), begin, count);
    computed[at] = compute(norm_net({items[at], 2, 1, 3}, fields + " synchronize: true"), own,
                           part(weights, begin, count), group.size(), std::make_shared<CountedSums>(group));
  });
  Computed all = computed.front();
  for (size_t rank = 1; rank < computed.size(); ++rank) {
    const Computed& one = computed[rank];
    all.y.insert(all.y.end(), one.y.begin(), one.y.end());
    all.dx.insert(all.dx.end(), one.dx.begin(), one.dx.end());
    EXPECT_EQ(one.mean, all.mean);
    EXPECT_EQ(one.variance, all.variance);
    EXPECT_EQ(one.weight, all.weight);
  }
  expect_near(all.y, joint.y);
  expect_near(all.dx, joint.dx);
  expect_near(all.mean, joint.mean);
  expect_near(all.variance, joint.variance);
  expect_near(all.weight, joint.weight);
}

constexpr const char* kFields = "eps: 0.01 moving_average_fraction: 0.9";

// The numbers are those that numpy gives for the joint batch (layers/normalization_test.cc).
TEST(SynchronizedBatchNorm, NormalizesByTheJointBatch) {
  const Given given{{"x", uneven(12)}, {"bn/0", {1, 2}}, {"bn/1", {3, 4}}, {"bn/2", {2}}};
  const Computed joint{{-0.491234f, -0.9278864f, -1.364539f, 1.282396f, 0.961797f, 0.641198f, 1.364539f, 0.9278864f,
                        0.491234f, -0.641198f, -0.961797f, -1.282396f},
                       {-0.004097682f, -0.007740065f, -0.01138245f, 0.005766663f, 0.004324997f, 0.002883332f,
                        0.01138245f, 0.007740065f, 0.004097682f, -0.002883332f, -0.004324997f, -0.005766663f},
                       {0.45f, 2.2f},
                       {3.695f, 5.456f},
                       {2.8f}};
  expect_together({1, 1}, given, uneven(12, 0.7f), joint, kFields);
}

// The formulas in double precision, for items of {2, 1, 3}.
Computed by_formula(const Given& given, const Numbers& weights) {
  const Numbers& x = given.at("x");
  const size_t items = x.size() / 6;
  Computed out;
  out.y.resize(x.size());
  out.dx.resize(x.size());
  out.weight = {given.at("bn/2")[0] * 0.9f + 1};
  for (size_t c = 0; c < 2; ++c) {
    std::vector<size_t> at;
    for (size_t i = 0; i < 3 * items; ++i) at.push_back(6 * (i / 3) + 3 * c + i % 3);
    const auto m = static_cast<double>(at.size());
    double mean = 0, variance = 0, mean_g = 0, mean_gy = 0;
    for (size_t i : at) mean += static_cast<double>(x[i]) / m;
    for (size_t i : at) variance += (x[i] - mean) * (x[i] - mean) / m;
    const double deviation = std::sqrt(variance + 0.01);
    for (size_t i : at) {
      out.y[i] = static_cast<float>((x[i] - mean) / deviation);
      mean_g += weights[i] / m;
      mean_gy += weights[i] * (x[i] - mean) / deviation / m;
    }
    for (size_t i : at)
      out.dx[i] = static_cast<float>((weights[i] - mean_g - (x[i] - mean) / deviation * mean_gy) / deviation);
    out.mean.push_back(static_cast<float>(0.9 * given.at("bn/0")[c] + mean));
    out.variance.push_back(static_cast<float>(0.9 * given.at("bn/1")[c] + variance * m / (m - 1)));
  }
  return out;
}

// The batches of the ranks differ in size, and their means too.
TEST(SynchronizedBatchNorm, CountsTheElementsOfEachRank) {
  Given given{{"x", uneven(36)}, {"bn/0", {1, 2}}, {"bn/1", {3, 4}}, {"bn/2", {2}}};
  for (size_t i = 12; i < 36; ++i) given["x"][i] += 2;
  const Numbers weights = uneven(36, 0.7f);
  expect_together({2, 1, 3}, given, weights, by_formula(given, weights), kFields);
}

TEST(SynchronizedBatchNorm, KeepsItsDigitsFarFromZero) {
  Given given{{"x", {}}, {"bn/0", {0, 0}}, {"bn/1", {0, 0}}, {"bn/2", {0}}};
  // Multiples of 1/8, with another mean on each rank. That of all, 4003.5, is a float: no float can hold most others to
  // 1e-5.
  for (size_t i = 0; i < 36; ++i) {
    const float apart = static_cast<float>((i % 6 * 37 + i / 12 * 5 + 11) % 41) / 8;
    const size_t rank = i / 12;
    given["x"].push_back(4000 + static_cast<float>(rank) + (i % 12 < 6 ? apart : 5 - apart));
  }
  const Numbers weights = uneven(36, 0.7f);
  expect_together({2, 2, 2}, given, weights, by_formula(given, weights), kFields);
}

TEST(SynchronizedBatchNorm, SumsNothingWithStoredStatistics) {
  const auto sums = std::make_shared<NoSums>();
  for (const char* fields : {"synchronize: true use_global_stats: true", "synchronize: false", ""}) {
    NetText net(norm_net({2, 2, 1, 3}, fields), caffe::TRAIN, 2, sums);
    for (const Op& op : net.graph().ops) EXPECT_NE(op.kind, OpKind::kOpaque) << fields;
  }
  NetText test(norm_net({2, 2, 1, 3}, "synchronize: true"), caffe::TEST, 2, sums);
  for (const Op& op : test.graph().ops) EXPECT_NE(op.kind, OpKind::kOpaque);
}

TEST(SynchronizedBatchNorm, NeedsAProcessForEachDevice) {
  const NetText net(norm_net({2, 2, 1, 3}, "synchronize: true"), caffe::TRAIN, 2);
  EXPECT_NE(net.problems().find("2 devices train together, but not each of them in a process of its own"),
            std::string::npos)
      << net.problems();
  const NetText other(norm_net({2, 2, 1, 3}, ""), caffe::TRAIN, 2);
  EXPECT_EQ(other.problems(), "");
}

// The derivative of the op itself: d/dx of the sum over the ranks of w * s, with s the sum of x over the ranks.
TEST(SumOverRanks, PassesTheSumOfTheGradients) {
  run_ranks(2, [&](Group& group) {
    const int rank = group.rank();
    Graph graph;
    const auto sums = std::make_shared<CountedSums>(group);
    const Value x = graph.add_source("x", Shape{2}), z = graph.add_source("z", Shape{});
    const std::vector<Value> s = sum_over_ranks(sums, {x, z});
    const Value loss = reshape(sum(s[0] * (3.0f + 2.0f * static_cast<float>(rank)), {0}), Shape{}) + 7.0f * s[1];
    const std::vector<Value> gradients = differentiate(graph, loss, {x, z});
    const float own = static_cast<float>(rank);
    const GraphRun run(graph, {{"x", {1 + own, 10}}, {"z", {5}}});
    EXPECT_EQ(run[s[0]], (Numbers{3, 20}));
    EXPECT_EQ(run[s[1]], Numbers{10});
    EXPECT_EQ(run[gradients[0]], (Numbers{8, 8}));
    EXPECT_EQ(run[gradients[1]], Numbers{14});
    EXPECT_EQ(sums->numbers, (std::vector<int>{0, 1}));
  });
}

// Layers in parallel branches do not depend on each other, but all ranks must sum in one order.
TEST(SumOverRanks, DependsOnTheSumBefore) {
  const auto sums = std::make_shared<NoSums>();
  NetText net(input_layer("x", {2, 2, 1, 3}) + R"(
layer { name: "bn" type: "BatchNorm" bottom: "x" top: "a" batch_norm_param { synchronize: true } }
layer { name: "bn2" type: "BatchNorm" bottom: "x" top: "b" batch_norm_param { synchronize: true } }
layer { name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "y" })",
              caffe::TRAIN, 2, sums);
  ASSERT_EQ(net.problems(), "");
  const Value y = net.blob("y");
  differentiate(net.graph(), reshape(sum(y * y, all_axes(y.shape())), Shape{}), {net.leaf("x")});
  int before = -1, found = 0;
  for (const Op& op : net.graph().ops) {
    if (op.kind != OpKind::kOpaque) continue;
    EXPECT_TRUE(op.as<OpaqueAttributes>().op->has_effect());
    if (before >= 0) {
      EXPECT_EQ(op.inputs.back(), before);
    }
    before = op.outputs.front();
    ++found;
  }
  EXPECT_EQ(found, 6);
}

std::vector<std::string> plan_of(const std::string& fields, caffe::Phase phase) {
  TextSession net(input_layer("data", {4, 3, 6, 6}) + R"(
layer { name: "conv" type: "Convolution" bottom: "data" top: "c" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" batch_norm_param { )" +
                      fields + R"( } }
layer { name: "ip" type: "InnerProduct" bottom: "c" top: "ip" inner_product_param { num_output: 1 } }
layer { name: "loss" type: "Reduction" bottom: "ip" top: "loss" loss_weight: 1 })",
                  phase);
  add_parameters(net.session.lowered(), 1, phase == caffe::TRAIN, net.device_session.store);
  const auto program = net.session.program(phase == caffe::TRAIN ? ProgramKind::kTrain : ProgramKind::kForward);
  std::vector<std::string> steps;
  for (const Step& step : program->steps) {
    std::string text = fmt::format("{} {}", name_of(step.op.kind), step.implementation);
    for (int value : step.op.outputs)
      text += fmt::format(" {}", program->values[static_cast<size_t>(value)].desc.shape.text());
    steps.push_back(text);
  }
  return steps;
}

TEST(SynchronizedBatchNorm, ChangesNoPlanOfOneDevice) {
  for (const caffe::Phase phase : {caffe::TRAIN, caffe::TEST}) {
    const std::vector<std::string> plan = plan_of("", phase);
    EXPECT_GT(plan.size(), 1u);
    EXPECT_EQ(plan_of("synchronize: true", phase), plan);
  }
}

// Training with synchronized layers, two of them in parallel branches.
class TrainTogether : public testing::Test {
 protected:
  TrainTogether() { test::write_lmdb(folder_ / "lmdb", test::raw_records(53, 3, 10, 10)); }

  std::string net_text(int batch) const {
    return fmt::format(R"(name: "net"
layer {{ name: "data" type: "Data" top: "data" top: "label" transform_param {{ scale: 0.01 }}
  data_param {{ source: "{}" backend: LMDB batch_size: {} }} }}
layer {{ name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param {{ num_output: 6 kernel_size: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" batch_norm_param {{ synchronize: true }} }}
layer {{ name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param {{ bias_term: true }} }}
layer {{ name: "relu" type: "ReLU" bottom: "conv" top: "conv" }}
layer {{ name: "a" type: "Convolution" bottom: "conv" top: "a"
  convolution_param {{ num_output: 5 kernel_size: 3 pad: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "bn_a" type: "BatchNorm" bottom: "a" top: "a"
  batch_norm_param {{ synchronize: true moving_average_fraction: 0.8 }} }}
layer {{ name: "b" type: "Convolution" bottom: "conv" top: "b"
  convolution_param {{ num_output: 5 kernel_size: 1 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "bn_b" type: "BatchNorm" bottom: "b" top: "b" batch_norm_param {{ synchronize: true }} }}
layer {{ name: "sum" type: "Eltwise" bottom: "a" bottom: "b" top: "sum" }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "sum" top: "ip1"
  inner_product_param {{ num_output: 12 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "bn1" type: "BatchNorm" bottom: "ip1" top: "ip1" batch_norm_param {{ synchronize: true }} }}
layer {{ name: "ip2" type: "InnerProduct" bottom: "ip1" top: "ip2"
  inner_product_param {{ num_output: 10 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }}
)",
                       folder_ / "lmdb", batch);
  }

  // Weights and statistics, layer by layer, after 4 iterations of batches of `batch` items on each rank.
  std::vector<float> train(int ranks, int batch) {
    const std::string net = folder_.write("net.prototxt", net_text(batch));
    const std::string solver = folder_.write(
        "solver.prototxt", fmt::format("net: \"{}\" snapshot_prefix: \"{}\" random_seed: 3 base_lr: {} momentum: 0.9 "
                                       "lr_policy: \"fixed\" iter_size: 2 max_iter: 4 display: 2 {}",
                                       net, folder_ / "w", rate_, more_));
    run_ranks(ranks, [&](Group& group) {
      const int rank = group.rank();
      Diagnostics diagnostics;
      TrainingFiles files = configure_training(solver, {}, &diagnostics);
      diagnostics.throw_if_errors();
      TrainingOptions options;
      options.devices = {DeviceSpec()};
      options.memory = memory_;
      options.group = ranks > 1 ? &group : nullptr;
      Training training(std::move(files), options);
      RunReport report;
      training.run(report);
      training.save_weights(file(rank));
      if (rank != 0) return;
      planned_ = training.memory_plan().total();
      repeated_ = training.train_net().program(ProgramKind::kTrain)->repeated.operations;
    });
    const std::vector<float> weights = read(0);
    for (int rank = 1; rank < ranks; ++rank) EXPECT_EQ(read(rank), weights) << rank;
    return weights;
  }

  std::string file(int rank) const { return folder_ / fmt::format("rank{}.caffemodel", rank); }
  std::vector<float> read(int rank) const {
    std::vector<float> weights;
    for (const WeightLayer& layer : read_weights(file(rank)).layers)
      for (const auto& blob : layer.blobs) weights.insert(weights.end(), blob.data.begin(), blob.data.end());
    return weights;
  }

  static void expect_equal(const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    ASSERT_GT(a.size(), 500u);
    for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-5 * std::max(1.0f, std::fabs(a[i]))) << i;
  }

  TempFolder folder_;
  std::string more_;
  float rate_ = 0.1f;
  int64_t memory_ = 0;
  int64_t planned_ = 0;
  double repeated_ = 0;
};

TEST_F(TrainTogether, DoWhatOneDoesWithTheJointBatch) {
  const std::vector<float> one = train(1, 12);
  expect_equal(train(2, 6), one);
  expect_equal(train(3, 4), one);
}

TEST_F(TrainTogether, SumOnceIfForwardValuesAreComputedAgain) {
  const std::vector<float> whole = train(2, 6);
  EXPECT_EQ(repeated_, 0);
  memory_ = static_cast<int64_t>(0.9 * static_cast<double>(planned_));
  EXPECT_EQ(train(2, 6), whole);
  EXPECT_GT(repeated_, 0);
}

// The search for the first bad value repeats the pass on one rank after the other.
TEST_F(TrainTogether, NameTheLayerOfABadLoss) {
  rate_ = 1e20f;
  try {
    train(2, 6);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kDiverged) << error.what();
    EXPECT_NE(std::string(error.what()).find("the first bad value is"), std::string::npos) << error.what();
  }
}

TEST_F(TrainTogether, SeveralDevicesOfAProcessCannot) {
  const std::string net = folder_.write("net.prototxt", net_text(4));
  const std::string solver =
      folder_.write("solver.prototxt", fmt::format("net: \"{}\" base_lr: 0.1 lr_policy: \"fixed\" max_iter: 1", net));
  Diagnostics diagnostics;
  TrainingFiles files = configure_training(solver, {}, &diagnostics);
  TrainingOptions options;
  options.devices = {DeviceSpec(), DeviceSpec()};
  try {
    Training training(std::move(files), options);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kConfiguration);
    EXPECT_NE(std::string(error.what()).find("net.prototxt:6"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("start one process for each device, or remove synchronize"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace trainer
