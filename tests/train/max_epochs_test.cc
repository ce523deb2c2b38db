// max_epochs is max_iter in passes over the data: every learning-rate policy ends with the training.
#include "formats/weights.h"
#include "train/small_training.h"

namespace trainer {
namespace {

// 53 records in batches of 8, twice: 14 iterations.
class MaxEpochs : public testing::TestWithParam<const char*> {};

TEST_P(MaxEpochs, LearnsAsWithThatManyIterations) {
  SmallTraining training;
  const std::string fields = std::string("base_lr: 0.01 momentum: 0.9 ") + GetParam();
  training.train("epochs", fields + " max_epochs: 2");
  training.train("iterations", fields + " max_iter: 14");
  const WeightFile epochs = read_weights(training.folder() / "epochs_iter_14.caffemodel");
  const WeightFile iterations = read_weights(training.folder() / "iterations_iter_14.caffemodel");
  ASSERT_EQ(epochs.layers.size(), iterations.layers.size());
  for (size_t i = 0; i < epochs.layers.size(); ++i) {
    for (size_t k = 0; k < epochs.layers[i].blobs.size(); ++k)
      EXPECT_EQ(epochs.layers[i].blobs[k].data, iterations.layers[i].blobs[k].data) << epochs.layers[i].name;
  }
}

INSTANTIATE_TEST_SUITE_P(Policies, MaxEpochs,
                         testing::Values("lr_policy: 'fixed'", "lr_policy: 'poly' power: 2",
                                         "lr_policy: 'cosine' warmup_iter: 3",
                                         "lr_policy: 'sigmoid' gamma: 0.5 stepsize: 7"));

}  // namespace
}  // namespace trainer
