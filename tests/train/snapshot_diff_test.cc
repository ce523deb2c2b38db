// snapshot_diff: stores the last step with the weights, as Caffe does: w(n) = w(n - 1) - diff(n).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "formats/weights.h"
#include "train/small_training.h"
#include "train/train_net.h"

namespace trainer {
namespace {

std::map<std::string, WeightLayer> layers_of(const std::string& path) {
  std::map<std::string, WeightLayer> layers;
  for (WeightLayer& layer : read_weights(path).layers) layers[layer.name] = std::move(layer);
  return layers;
}

class SnapshotDiff : public testing::TestWithParam<const char*> {};

TEST_P(SnapshotDiff, IsTheLastStep) {
  SmallTraining small;
  small.train("x",
              std::string("max_iter: 3 snapshot: 1 snapshot_diff: true base_lr: 0.01 lr_policy: \"fixed\" iter_size: 2 "
                          "weight_decay: 0.01 ") +
                  GetParam());
  const bool hdf5 = std::string(GetParam()).find("HDF5") != std::string::npos;
  const auto weights = [&](int iteration) {
    return layers_of(small.folder() / fmt::format("x_iter_{}.caffemodel{}", iteration, hdf5 ? ".h5" : ""));
  };
  const auto before = weights(2), after = weights(3);
  for (const char* name : {"conv", "scale", "ip1", "ip2"}) {
    for (size_t blob = 0; blob < 2; ++blob) {
      const WeightBlob &old = before.at(name).blobs.at(blob), &last = after.at(name).blobs.at(blob);
      ASSERT_EQ(last.diff.size(), last.data.size()) << name;
      float largest = 0;
      for (size_t i = 0; i < last.data.size(); ++i) {
        EXPECT_FLOAT_EQ(last.data[i], old.data[i] - last.diff[i]) << name << " " << blob << " " << i;
        largest = std::max(largest, std::abs(last.diff[i]));
      }
      EXPECT_GT(largest, 0) << name;
    }
  }
  // Statistics have no step.
  for (const WeightBlob& statistic : after.at("bn").blobs) {
    ASSERT_EQ(statistic.diff.size(), statistic.data.size());
    for (float step : statistic.diff) EXPECT_EQ(step, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Solvers, SnapshotDiff,
                         testing::Values("momentum: 0.9", "type: \"Adam\" momentum: 0.9 snapshot_format: HDF5"));

TEST(SnapshotDiffOff, WritesNone) {
  SmallTraining small;
  small.train("x", "max_iter: 1 base_lr: 0.01 lr_policy: \"fixed\"");
  for (const auto& [name, layer] : layers_of(small.folder() / "x_iter_1.caffemodel")) {
    for (const WeightBlob& blob : layer.blobs) EXPECT_TRUE(blob.diff.empty()) << name;
  }
}

// Weights without a gradient only decay.
TEST(SnapshotDiffWithoutGradients, IsNoGradientOfTheNextIteration) {
  double expected = 1, step = 0;
  for (int i = 0; i < kTrainNetIterations; ++i) {
    step = 0.9 * step + 0.05 * 0.5 * expected;
    expected -= step;
  }
  for (const char* last : {R"(layer { name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "t" top: "loss" })",
                           R"(layer { name: "silence" type: "Silence" bottom: "a" })"}) {
    TempFolder folder;
    const std::string net = std::string(R"(name: "net"
layer { name: "data" type: "DummyData" top: "x" top: "t" dummy_data_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } } }
layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "b" type: "InnerProduct" bottom: "x" top: "b"
  inner_product_param { num_output: 2 weight_filler { type: "constant" value: 1 } } }
layer { name: "unread" type: "Silence" bottom: "b" }
)") + last;
    const WeightFile trained = train_net(folder, "x", net, {}, "weight_decay: 0.5 snapshot_diff: true");
    for (float weight : layer_called(trained, "b").blobs.at(0).data) EXPECT_NEAR(weight, expected, 1e-6);
  }
}

}  // namespace
}  // namespace trainer
