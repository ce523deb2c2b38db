// iter_size together with batch norm, clipping, weight decay and an average of the weights, in fp32 and bf16. The
// expected numbers are from a PyTorch program in float64: 5 updates of 4 passes over 4 images each. It sums the
// gradients of the passes, limits the norm of the sum, divides by 4, adds the decay, and then averages the weights
// once. The limit is between the norms of the updates, and the statistics of batch norm follow Caffe's formula in each
// pass.
#include <fmt/format.h>

#include <cmath>

#include "data/small_data.h"
#include "train/train_net.h"

namespace trainer {
namespace {

std::string sines(const std::string& shape, int first, int count, double scale) {
  std::string text = "blobs { shape { " + shape + " }";
  for (int i = 0; i < count; ++i) text += fmt::format(" data: {}", scale * std::sin(first + i));
  return text + " }\n";
}

class Accumulation : public testing::Test {
 protected:
  Accumulation() {
    test::Records records;
    for (int i = 0; i < 80; ++i) records.emplace_back(test::key(i), test::raw_datum(i, 2, 4, 4, i % 3));
    test::write_lmdb(folder_ / "lmdb", records);
    folder_.write("net.prototxt", R"(
layer {
  name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 }
  data_param { source: ")" + folder_ / "lmdb" +
                                      R"(" backend: LMDB batch_size: 4 }
}
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 pad: 1 }
  )" + sines("dim: 4 dim: 2 dim: 3 dim: 3", 1, 72, 0.4) +
                                      sines("dim: 4", 2, 4, 0.1) + R"(
}
layer {
  name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" batch_norm_param { moving_average_fraction: 0.9 }
}
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer {
  name: "ip" type: "InnerProduct" bottom: "conv" top: "ip" inner_product_param { num_output: 3 }
  )" + sines("dim: 3 dim: 64", 3, 192, 0.2) +
                                      R"(
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
)");
    folder_.write("solver.prototxt",
                  "net: '" + folder_ / "net.prototxt" + "' snapshot_prefix: '" + folder_ / "run" + R"('
base_lr: 0.05 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.01 iter_size: 4 clip_gradients: 5.4
ema { decay: 0.8 } max_iter: 5 random_seed: 1
)");
  }

  void train(Precision precision, const std::string& snapshot = "", int stop_after = 0) {
    Diagnostics diagnostics;
    TrainingFiles files = configure_training(folder_ / "solver.prototxt", {}, &diagnostics);
    diagnostics.throw_if_errors();
    TrainingOptions options;
    options.devices = {test_device()};
    options.device_options.precision = precision;
    options.snapshot = snapshot;
    int polled = 0;
    options.poll = [&] { return ++polled == stop_after ? StopRequest::kStop : StopRequest::kNone; };
    Training training(std::move(files), options);
    RunReport report;
    training.run(report);
  }
  WeightFile weights(const std::string& ending = "") const {
    return read_weights(folder_ / "run_iter_5" + ending + ".caffemodel");
  }
  // Compares the first values of a blob.
  static void expect_blob(const WeightFile& file, const std::string& layer, size_t blob,
                          const std::vector<double>& expected, double tolerance) {
    const std::vector<float>& values = layer_called(file, layer).blobs.at(blob).data;
    ASSERT_GE(values.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(values[i], expected[i], tolerance * std::max(1.0, std::fabs(expected[i])))
          << layer << " blob " << blob << " element " << i;
  }
  void expect_numbers(double tolerance) const {
    const WeightFile trained = weights(), average = weights("_ema");
    expect_blob(trained, "conv", 0, {0.31601572, 0.29518309, 0.0035779743, -0.30428042, -0.35576885}, tolerance);
    expect_blob(average, "conv", 0, {0.31709308, 0.30473197, 0.014559545, -0.30255663, -0.35723416}, tolerance);
    expect_blob(trained, "conv", 1, {0.090332852, 0.014019365, -0.075183462, -0.095262961}, tolerance);
    expect_blob(trained, "scale", 0, {0.920647, 1.0590715, 0.96580194, 0.93438279}, tolerance);
    expect_blob(average, "scale", 0, {0.93286649, 1.050223, 0.97422546, 0.94020811}, tolerance);
    expect_blob(trained, "scale", 1, {-0.052499297, 0.042730654, -0.0052923347, -0.045902864}, tolerance);
    expect_blob(average, "scale", 1, {-0.044967391, 0.036007268, -0.002139312, -0.041538656}, tolerance);
    expect_blob(trained, "ip", 0, {0.053177894, -0.11464775, -0.15936211, -0.036545853, 0.11220995}, tolerance);
    expect_blob(average, "ip", 0, {0.049184208, -0.12065903, -0.16532721, -0.040166661, 0.11524886}, tolerance);
    expect_blob(trained, "ip", 1, {-0.0046756995, 0.0071017975, -0.002426098}, tolerance);
    // The statistics move in each of the 20 passes, and the average has those of the trained weights. Means and
    // variances are sums with the weight in blob 2.
    constexpr double kWeight = 8.784233454;
    for (const WeightFile* file : {&trained, &average}) {
      expect_blob(*file, "bn", 0, {1.3853711, -0.46464347, 2.8865563, -0.89519986}, tolerance * kWeight);
      expect_blob(*file, "bn", 1, {4.4775191, 3.0820625, 1.6500631, 3.8451292}, tolerance * kWeight);
      expect_blob(*file, "bn", 2, {kWeight}, tolerance);
    }
  }
  // A stop after the second update and a resume give the same bits.
  void expect_exact_resume(Precision precision) {
    const std::string names[] = {"run_iter_5.caffemodel", "run_iter_5_ema.caffemodel"};
    std::vector<std::string> whole;
    for (const std::string& name : names) whole.push_back(read_all(folder_ / name));
    train(precision, "", 2);
    ASSERT_TRUE(std::filesystem::exists(folder_ / "run_iter_2.solverstate"));
    for (const std::string& name : names) std::filesystem::remove(folder_ / name);
    train(precision, folder_ / "run_iter_2.solverstate");
    for (size_t i = 0; i < whole.size(); ++i) EXPECT_TRUE(read_all(folder_ / names[i]) == whole[i]) << names[i];
  }

 private:
  const TempFolder folder_;
};

TEST_F(Accumulation, OfSinglePrecision) {
  train(Precision::kFP32);
  expect_numbers(1e-5);
  expect_exact_resume(Precision::kFP32);
}

// bf16 has 8 bits of mantissa: a relative error of 0.004 for each rounding.
TEST_F(Accumulation, OfBf16) {
  const std::string refused = DeviceSession(test_device()).device->refuse_precision(Precision::kBF16);
  if (!refused.empty()) GTEST_SKIP() << refused;
  train(Precision::kBF16);
  expect_numbers(0.01);
  expect_exact_resume(Precision::kBF16);
}

}  // namespace
}  // namespace trainer
