// Trainings through the public interface: callbacks, requests, and several sessions in several threads.
#include <gtest/gtest.h>

#include <filesystem>
#include <stdexcept>
#include <thread>

#include "formats/temp_folder.h"
#include "trainer/trainer.h"

namespace trainer {
namespace {

std::string solver_text(const TempFolder& folder, const std::string& fields, int max_iter = 6) {
  return R"(
net_param {
  layer { name: "data" type: "DummyData" top: "data" top: "label"
    dummy_data_param { shape { dim: 4 dim: 3 dim: 6 dim: 6 } shape { dim: 4 }
      data_filler { type: "gaussian" std: 1 } data_filler { type: "constant" value: 1 } } }
  layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
    convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } } }
  layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
  layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip"
    inner_product_param { num_output: 3 weight_filler { type: "xavier" } } }
  layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
}
base_lr: 0.1 lr_policy: "fixed" random_seed: 3 snapshot_prefix: ")" +
         (folder / "s") + "\" max_iter: " + std::to_string(max_iter) + " " + fields;
}

SolverOptions options_of(const std::string& text) {
  SolverOptions options;
  options.solver_text = text;
  options.threads = 1;
  return options;
}

std::vector<double> losses_of(const SolverOptions& options) {
  std::vector<double> losses;
  Solver solver(options);
  solver.train({[&](const StepProgress& step) {
                  losses.push_back(step.loss);
                  return TrainRequest::kContinue;
                },
                {},
                {}});
  return losses;
}

TEST(Solver, TellsItsProgress) {
  const TempFolder folder;
  SolverOptions options = options_of(solver_text(folder, "test_iter: 2 test_interval: 3 snapshot: 4"));
  std::vector<std::string> log;
  options.log = [&](LogLevel, std::string_view line) { log.emplace_back(line); };
  std::vector<int64_t> iterations, tests, snapshots;
  TrainCallbacks callbacks;
  callbacks.iteration = [&](const StepProgress& step) {
    iterations.push_back(step.iteration);
    EXPECT_EQ(step.learning_rate, 0.1f);
    return TrainRequest::kContinue;
  };
  callbacks.test = [&](const TestResult& result) {
    tests.push_back(result.iteration);
    EXPECT_EQ(result.outputs.size(), 1u);
    EXPECT_EQ(result.outputs.front().name, "loss");
  };
  callbacks.snapshot = [&](const SnapshotFiles& files) {
    snapshots.push_back(files.iteration);
    EXPECT_TRUE(std::filesystem::exists(files.weights) && std::filesystem::exists(files.state));
  };
  Solver solver(options);
  EXPECT_TRUE(solver.train(callbacks));
  EXPECT_EQ(iterations, (std::vector<int64_t>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(tests, (std::vector<int64_t>{0, 3, 6}));
  EXPECT_EQ(snapshots, (std::vector<int64_t>{4, 6}));
  EXPECT_NE(std::find(log.begin(), log.end(), "Optimization Done."), log.end());
  EXPECT_THROW(solver.train(), Error);
}

TEST(Solver, DoesWhatCallbacksRequest) {
  const TempFolder folder;
  const std::string text = solver_text(folder, "");
  std::vector<int64_t> snapshots;
  TrainCallbacks callbacks;
  callbacks.iteration = [&](const StepProgress& step) {
    return step.iteration == 2   ? TrainRequest::kSnapshot
           : step.iteration == 4 ? TrainRequest::kStop
                                 : TrainRequest::kContinue;
  };
  callbacks.snapshot = [&](const SnapshotFiles& files) { snapshots.push_back(files.iteration); };
  Solver solver(options_of(text));
  EXPECT_FALSE(solver.train(callbacks));
  EXPECT_EQ(snapshots, (std::vector<int64_t>{2, 4}));

  // Goes on as if it had never stopped.
  const std::vector<double> whole = losses_of(options_of(text));
  SolverOptions options = options_of(text);
  options.snapshot = (folder / "s_iter_4.solverstate");
  EXPECT_EQ(losses_of(options), (std::vector<double>{whole[4], whole[5]}));
}

TEST(Solver, LetsExceptionsOfCallbacksPass) {
  const TempFolder folder;
  Solver solver(options_of(solver_text(folder, "snapshot_after_train: false")));
  TrainCallbacks callbacks;
  callbacks.iteration = [](const StepProgress&) -> TrainRequest { throw std::domain_error("of the caller"); };
  EXPECT_THROW(solver.train(callbacks), std::domain_error);
}

TEST(Solver, SavesWeightsThatANetReads) {
  const TempFolder folder;
  Solver solver(options_of(solver_text(folder, "snapshot_after_train: false")));
  solver.train();
  const std::string weights = (folder / "w.caffemodel");
  solver.save_weights(weights);
  NetOptions options;
  options.model_text = R"(
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 6 dim: 6 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 3 } }
)";
  options.weights = weights;
  Net net(options);
  EXPECT_EQ(net.learned_layers(), (std::vector<std::string>{"conv", "ip"}));
}

TEST(Solver, RefusesWhatCannotBe) {
  const TempFolder folder;
  SolverOptions options;
  EXPECT_THROW(Solver solver(options), Error);  // neither a file nor a text
  options = options_of(solver_text(folder, ""));
  options.snapshot = "a";
  options.weights = {"b"};
  EXPECT_THROW(Solver solver(options), Error);
  options = options_of("base_lr: 0.1 lr_policy: 'fixed'");
  EXPECT_THROW(Solver solver(options), Error);
}

// Two nets and a training at the same time give the bits that each gives alone.
TEST(Sessions, RunInSeveralThreads) {
  const char* text = R"(
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 12 dim: 12 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "constant" value: 0.1 } } }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm" }
layer { name: "ip" type: "InnerProduct" bottom: "norm" top: "ip"
  inner_product_param { num_output: 5 weight_filler { type: "constant" value: 0.01 } } }
layer { name: "prob" type: "Softmax" bottom: "ip" top: "prob" }
)";
  const auto run_net = [&](float first, int threads) {
    std::vector<float> data(2 * 3 * 12 * 12), all;
    NetOptions options;
    options.model_text = text;
    options.allow_fresh = true;
    options.threads = threads;
    Net net(options);
    for (int pass = 0; pass < 20; ++pass) {
      for (size_t i = 0; i < data.size(); ++i) data[i] = first + static_cast<float>((i * 7 + pass) % 13);
      net.set_input("data", data);
      net.forward();
      const std::vector<float> ip = net.read("prob");
      all.insert(all.end(), ip.begin(), ip.end());
    }
    return all;
  };
  const TempFolder folder, alone;
  const auto train = [&](const TempFolder& prefix) { return losses_of(options_of(solver_text(prefix, "", 20))); };
  const std::vector<float> wanted_one = run_net(0.5f, 1), wanted_two = run_net(-2, 2);
  const std::vector<double> wanted_losses = train(alone);

  std::vector<float> one, two;
  std::vector<double> losses;
  std::thread first([&] { one = run_net(0.5f, 1); }), second([&] { two = run_net(-2, 2); }),
      third([&] { losses = train(folder); });
  first.join();
  second.join();
  third.join();
  EXPECT_EQ(one, wanted_one);
  EXPECT_EQ(two, wanted_two);
  EXPECT_EQ(losses, wanted_losses);
}

}  // namespace
}  // namespace trainer
