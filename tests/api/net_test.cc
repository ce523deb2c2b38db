// Nets through the public interface: numbers worked out by hand, shapes, arrays, weights and mistakes.
#include "trainer/trainer.h"

#include <gtest/gtest.h>
#include <immintrin.h>
#include <omp.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include "formats/temp_folder.h"

namespace trainer {
namespace {

constexpr const char* kSums = R"(
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
layer { name: "half" type: "InnerProduct" bottom: "data" top: "half"
  inner_product_param { num_output: 2 weight_filler { type: "constant" value: 0.5 } bias_filler { type: "constant" value: 1 } } }
layer { name: "twice" type: "Power" bottom: "half" top: "twice" power_param { scale: 2 } }
)";

NetOptions options_of(const std::string& text) {
  NetOptions options;
  options.model_text = text;
  options.allow_fresh = true;
  options.threads = 1;
  return options;
}

Error error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return Error(ExitCode::kDone, "");
}

TEST(Net, ComputesFromAnArray) {
  Net net(options_of(kSums));
  EXPECT_EQ(net.inputs(), std::vector<std::string>{"data"});
  EXPECT_EQ(net.outputs(), std::vector<std::string>{"twice"});
  EXPECT_EQ(net.shape("twice"), (Dims{2, 2}));
  const std::vector<float> data = {1, 2, 3, 4, 5, 6};
  net.set_input("data", data);
  net.forward();
  EXPECT_EQ(net.read("twice"), (std::vector<float>{8, 8, 17, 17}));  // 2 * (6 * 0.5 + 1), 2 * (15 * 0.5 + 1)
  EXPECT_EQ(net.loss(), 0);
}

TEST(Net, RefusesMoreThreadsThanOpenMpCanList) {
  NetOptions options = options_of(kSums);
  options.threads = 100000;
  const Error error = error_of([&] { Net net(options); });
  EXPECT_EQ(error.code(), ExitCode::kConfiguration);
  EXPECT_NE(std::string(error.what()).find("at most 1024"), std::string::npos) << error.what();
}

// Threads with such stacks cannot start.
TEST(Net, ReportsThreadsThatCannotStart) {
  setenv("OMP_STACKSIZE", "100000G", 1);
  NetOptions options = options_of(kSums);
  options.threads = 2;
  Error error(ExitCode::kDone, "");
  std::thread([&] { error = error_of([&] { Net net(options); }); }).join();  // a thread without a team
  unsetenv("OMP_STACKSIZE");
  EXPECT_EQ(error.code(), ExitCode::kDevice);
  EXPECT_NE(std::string(error.what()).find("OMP_STACKSIZE"), std::string::npos) << error.what();
}

TEST(Net, ReadsTheArrayAnewInEachPass) {
  Net net(options_of(kSums));
  std::vector<float> data(6, 0);
  net.set_input("data", data);
  net.forward();
  EXPECT_EQ(net.read("twice"), (std::vector<float>{2, 2, 2, 2}));
  data[0] = 4;
  net.forward();
  EXPECT_EQ(net.read("twice"), (std::vector<float>{6, 6, 2, 2}));
}

TEST(Net, TakesOtherShapes) {
  NetOptions options = options_of(kSums);
  options.inputs["data"] = {1, 3};
  Net net(options);
  EXPECT_EQ(net.shape("data"), (Dims{1, 3}));
  const std::vector<float> one = {1, 2, 3}, three = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  net.set_input("data", one);
  net.forward();
  EXPECT_EQ(net.read("twice"), (std::vector<float>{8, 8}));
  net.set_input("data", three, {3, 3});
  net.forward();
  EXPECT_EQ(net.shape("twice"), (Dims{3, 2}));
  EXPECT_EQ(net.read("twice"), (std::vector<float>{8, 8, 17, 17, 26, 26}));
  net.set_input("data", one, {1, 3});
  net.forward();
  EXPECT_EQ(net.read("twice"), (std::vector<float>{8, 8}));
}

TEST(Net, ReadsKeptBlobs) {
  NetOptions options = options_of(kSums);
  options.keep = {"half"};
  Net net(options);
  const std::vector<float> data = {1, 2, 3, 4, 5, 6};
  net.set_input("data", data);
  EXPECT_NE(std::string(error_of([&] { net.read("half"); }).what()).find("before the first pass"), std::string::npos);
  net.forward();
  EXPECT_EQ(net.read("half"), (std::vector<float>{4, 4, 8.5, 8.5}));
  std::vector<float> three(3);
  EXPECT_EQ(error_of([&] { net.read("half", three); }).code(), ExitCode::kConfiguration);
  options.keep = {"haff"};
  EXPECT_NE(std::string(error_of([&] { Net unknown(options); }).what()).find("did you mean \"half\"?"),
            std::string::npos);
}

// Kernels must not take the caller's array for memory of their own.
TEST(Net, TakesArraysAtAnyAddressAndLeavesThemAlone) {
  const char* text = R"(
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 5 dim: 9 dim: 7 } } }
layer { name: "relu" type: "ReLU" bottom: "data" top: "data" }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "sum" type: "Reduction" bottom: "data" top: "sum" reduction_param { axis: 1 } }
)";
  std::vector<float> memory(3 * 5 * 9 * 7 + 16);
  std::vector<std::vector<float>> pools, sums;
  Net net(options_of(text));
  for (const size_t offset : {0, 1, 3, 5}) {
    const std::span<float> data = std::span(memory).subspan(offset, memory.size() - 16);
    for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<float>(i % 11) - 5;
    const std::vector<float> before = memory;
    net.set_input("data", data);
    net.forward();
    EXPECT_EQ(memory, before);
    pools.push_back(net.read("pool"));
    sums.push_back(net.read("sum"));
  }
  for (size_t i = 1; i < pools.size(); ++i) {
    EXPECT_EQ(pools[i], pools[0]);
    EXPECT_EQ(sums[i], sums[0]);
  }
}

TEST(Net, WritesAndSavesWeights) {
  const TempFolder folder;
  Net net(options_of(kSums));
  EXPECT_EQ(net.learned_layers(), std::vector<std::string>{"half"});
  EXPECT_EQ(net.learned_blobs("half"), 2);
  EXPECT_EQ(net.learned_shape("half", 0), (Dims{2, 3}));
  EXPECT_EQ(net.read_learned("half", 1), (std::vector<float>{1, 1}));
  const std::vector<float> weights = {1, 0, 0, 0, 0, 1}, data = {1, 2, 3, 4, 5, 6}, wanted = {4, 8, 10, 14};
  net.write_learned("half", 0, weights);
  net.set_input("data", data);
  net.forward();
  EXPECT_EQ(net.read("twice"), wanted);
  EXPECT_EQ(error_of([&] { net.write_learned("half", 2, weights); }).code(), ExitCode::kConfiguration);
  EXPECT_EQ(error_of([&] { net.write_learned("half", 1, weights); }).code(), ExitCode::kConfiguration);
  EXPECT_EQ(error_of([&] { net.read_learned("hlaf", 0); }).code(), ExitCode::kConfiguration);
  for (const char* name : {"w.caffemodel", "w.caffemodel.h5"}) {
    const std::string path = folder / name;
    net.save_weights(path);
    NetOptions options = options_of(kSums);
    options.allow_fresh = false;
    options.weights = path;
    Net again(options);
    again.set_input("data", data);
    again.forward();
    EXPECT_EQ(again.read("twice"), wanted);
  }
}

TEST(Net, ShowsMistakesAsTheProgramDoes) {
  const Error wrong =
      error_of([] { Net net(options_of("layer {\n  name: 'a' type: 'Relu' bottom: 'x' top: 'y'\n}")); });
  EXPECT_EQ(wrong.code(), ExitCode::kConfiguration);
  EXPECT_NE(std::string(wrong.what()).find("model_text:2:"), std::string::npos) << wrong.what();
  EXPECT_NE(std::string(wrong.what()).find("did you mean \"ReLU\"?"), std::string::npos) << wrong.what();

  NetOptions options = options_of(kSums);
  options.allow_fresh = false;
  EXPECT_EQ(error_of([&] { Net net(options); }).code(), ExitCode::kConfiguration);
  options.weights = "/nowhere/w.caffemodel";
  EXPECT_EQ(error_of([&] { Net net(options); }).code(), ExitCode::kData);
  options = options_of(kSums);
  options.device = "7";
  EXPECT_EQ(error_of([&] { Net net(options); }).code(), ExitCode::kDevice);
  options = options_of(kSums);
  options.precision = "fp8";
  EXPECT_EQ(error_of([&] { Net net(options); }).code(), ExitCode::kConfiguration);
  options = options_of(kSums);
  options.inputs["dada"] = {1, 3};
  const Error no_input = error_of([&] { Net net(options); });
  EXPECT_EQ(no_input.code(), ExitCode::kConfiguration);
  EXPECT_STREQ(no_input.what(), "the net has no input \"dada\"; its inputs: data");

  Net net(options_of(kSums));
  const std::vector<float> data(6);
  EXPECT_EQ(error_of([&] { net.forward(); }).code(), ExitCode::kConfiguration);
  EXPECT_EQ(error_of([&] { net.set_input("data", std::span(data).first(5)); }).code(), ExitCode::kConfiguration);
  EXPECT_EQ(error_of([&] { net.set_input("data", data, {2, -3}); }).code(), ExitCode::kConfiguration);
  EXPECT_EQ(error_of([&] { net.set_input("dat", data); }).code(), ExitCode::kConfiguration);
  net.set_input("data", data, {1, 6});
  EXPECT_NE(error_of([&] { net.forward(); }).code(), ExitCode::kDone);  // the learned blob has three columns
  net.set_input("data", data, {2, 3});
  net.forward();
  EXPECT_EQ(net.read("twice"), (std::vector<float>{2, 2, 2, 2}));
}

TEST(Net, ChecksLabelsOfArrays) {
  Net net(options_of(R"(
layer { name: "x" type: "Input" top: "x" top: "label" input_param { shape { dim: 2 dim: 3 } shape { dim: 2 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "label" top: "loss" }
)"));
  const std::vector<float> x(6, 1.0f), good = {0, 2}, bad = {0, 3};
  net.set_input("x", x);
  net.set_input("label", good);
  net.forward();
  EXPECT_FLOAT_EQ(net.loss(), 1.0986123f);  // ln 3
  net.set_input("label", bad);
  EXPECT_EQ(error_of([&] { net.forward(); }).code(), ExitCode::kData);
}

TEST(Net, LogsToItsCallerOnly) {
  testing::internal::CaptureStderr();
  testing::internal::CaptureStdout();
  std::vector<std::string> lines;
  NetOptions options = options_of(kSums);
  Net silent(options);
  options.log = [&](LogLevel, std::string_view line) { lines.emplace_back(line); };
  Net net(options);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "");
  EXPECT_EQ(lines, std::vector<std::string>{"Use CPU."});
}

TEST(Net, RestoresTheCallersSettings) {
  const unsigned mode = _mm_getcsr();
  const int threads = omp_get_max_threads();
  _mm_setcsr(mode & ~0x8040u);
  omp_set_num_threads(3);
  omp_set_dynamic(1);
  Net net(options_of(kSums));
  const std::vector<float> data(6);
  net.set_input("data", data);
  net.forward();
  EXPECT_EQ(_mm_getcsr() & 0x8040u, 0u);
  EXPECT_EQ(omp_get_max_threads(), 3);
  EXPECT_EQ(omp_get_dynamic(), 1);
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
  _mm_setcsr(mode);
}

}  // namespace
}  // namespace trainer
