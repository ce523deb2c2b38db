// Trains a net from text for a few iterations, for tests of whole trainings.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "formats/temp_folder.h"
#include "formats/weights.h"
#include "test_environment.h"
#include "train/configure_training.h"
#include "train/training.h"

namespace trainer {

constexpr int kTrainNetIterations = 12;

// Trains with files `name`.* in the folder and more fields of the solver, from `weights` if given. Returns the content
// of the last snapshot.
inline WeightFile train_net(const TempFolder& folder, const std::string& name, const std::string& net,
                            const std::vector<std::string>& weights = {}, const std::string& fields = "") {
  const std::string path = folder.write(name + ".prototxt", net);
  const std::string solver = folder.write(
      name + "_solver.prototxt", "net: \"" + path + "\"\nsnapshot_prefix: \"" + (folder / name) +
                                     "\"\nrandom_seed: 3 base_lr: 0.05 lr_policy: \"fixed\" momentum: 0.9 max_iter: " +
                                     std::to_string(kTrainNetIterations) + "\n" + fields);
  Diagnostics diagnostics;
  TrainingFiles files = configure_training(solver, {}, &diagnostics);
  diagnostics.throw_if_errors();
  TrainingOptions options;
  options.devices = {test_device()};
  options.weights = weights;
  Training training(std::move(files), options);
  RunReport report;
  training.run(report);
  return read_weights(folder / name + "_iter_" + std::to_string(kTrainNetIterations) + ".caffemodel");
}

inline const WeightLayer& layer_called(const WeightFile& file, const std::string& name) {
  for (const WeightLayer& layer : file.layers)
    if (layer.name == name) return layer;
  throw std::out_of_range("no layer " + name);
}

inline void expect_near_blobs(const WeightLayer& a, const WeightLayer& b, float tolerance = 1e-5f) {
  ASSERT_EQ(a.blobs.size(), b.blobs.size());
  ASSERT_FALSE(a.blobs.empty());
  for (size_t k = 0; k < a.blobs.size(); ++k) {
    ASSERT_EQ(a.blobs[k].data.size(), b.blobs[k].data.size());
    for (size_t i = 0; i < a.blobs[k].data.size(); ++i)
      EXPECT_NEAR(a.blobs[k].data[i], b.blobs[k].data[i], tolerance) << a.name << " blob " << k << " element " << i;
  }
}

}  // namespace trainer
