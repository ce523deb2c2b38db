// snapshot_diff: weights come with the last step, as Caffe keeps it: w(n) = w(n - 1) - diff(n).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "formats/weights.h"
#include "train/small_training.h"

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
  small.train(
      "x", std::string(
               "max_iter: 3 snapshot: 1 snapshot_diff: true base_lr: 0.01 lr_policy: \"fixed\" iter_size: 2 "
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
  // Statistics take no step.
  for (const WeightBlob& statistic : after.at("bn").blobs) {
    ASSERT_EQ(statistic.diff.size(), statistic.data.size());
    for (float step : statistic.diff) EXPECT_EQ(step, 0);
  }
}

INSTANTIATE_TEST_SUITE_P(Solvers, SnapshotDiff,
                         testing::Values("momentum: 0.9",
                                         "type: \"Adam\" momentum: 0.9 snapshot_format: HDF5"));

TEST(SnapshotDiffOff, WritesNone) {
  SmallTraining small;
  small.train("x", "max_iter: 1 base_lr: 0.01 lr_policy: \"fixed\"");
  for (const auto& [name, layer] : layers_of(small.folder() / "x_iter_1.caffemodel")) {
    for (const WeightBlob& blob : layer.blobs) EXPECT_TRUE(blob.diff.empty()) << name;
  }
}

}  // namespace
}  // namespace trainer
