// Nets whose shapes depend on the data: Filter, whose kept items vary from batch to batch.
#include <gtest/gtest.h>

#include <cmath>

#include "formats/weights.h"
#include "train/small_training.h"

namespace trainer {
namespace {

class Filtered {
 public:
  Filtered() { test::write_lmdb(folder_ / "lmdb", test::raw_records(53, 3, 6, 6)); }

  // Trains `head` over a convolution of the data and returns the convolution's weights.
  std::vector<float> train(const std::string& name, const std::string& head) {
    const std::string net = folder_.write("net.prototxt", R"(
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 }
  data_param { source: ")" + (folder_ / "lmdb") + R"(" backend: LMDB batch_size: 8 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 10 kernel_size: 6 weight_filler { type: "xavier" } } }
)" + head);
    const std::string solver =
        folder_.write("solver.prototxt",
                      "net: \"" + net + "\"\nsnapshot_prefix: \"" + (folder_ / name) +
                          "\"\nrandom_seed: 3 base_lr: 0.05 lr_policy: \"fixed\" momentum: 0.9 max_iter: 12");
    Diagnostics diagnostics;
    TrainingFiles files = configure_training(solver, {}, &diagnostics);
    diagnostics.throw_if_errors();
    Training training(std::move(files), {});
    RunReport report;
    training.run(report);
    for (const WeightLayer& layer : read_weights(folder_ / name + "_iter_12.caffemodel").layers)
      if (layer.name == "conv") return layer.blobs.at(0).data;
    return {};
  }

 private:
  TempFolder folder_;
};

// Leaving out the items of label 0 and ignoring label 0 are the same thing.
TEST(Filter, TrainsAsIfTheItemsWereIgnored) {
  Filtered training;
  const std::vector<float> ignored = training.train("ignored", R"(
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label" top: "loss" loss_param { ignore_label: 0 } }
)");
  const std::vector<float> kept = training.train("kept", R"(
layer { name: "filter" type: "Filter" bottom: "conv" bottom: "label" bottom: "label" top: "some" top: "their_label" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "some" bottom: "their_label" top: "loss" }
)");
  ASSERT_EQ(kept.size(), ignored.size());
  for (size_t i = 0; i < kept.size(); ++i) EXPECT_NEAR(kept[i], ignored[i], 1e-5f) << i;
}

TEST(Filter, ASecondFilterSeesWhatTheFirstKept) {
  Filtered training;
  const std::vector<float> once = training.train("once", R"(
layer { name: "large" type: "Threshold" bottom: "label" top: "large" threshold_param { threshold: 3.5 } }
layer { name: "filter" type: "Filter" bottom: "conv" bottom: "label" bottom: "large" top: "some" top: "their_label" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "some" bottom: "their_label" top: "loss" }
)");
  const std::vector<float> twice = training.train("twice", R"(
layer { name: "any" type: "Filter" bottom: "conv" bottom: "label" bottom: "label" top: "some" top: "some_label" }
layer { name: "large" type: "Threshold" bottom: "some_label" top: "large" threshold_param { threshold: 3.5 } }
layer { name: "filter" type: "Filter" bottom: "some" bottom: "some_label" bottom: "large" top: "few" top: "few_label" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "few" bottom: "few_label" top: "loss" }
)");
  ASSERT_EQ(once.size(), twice.size());
  for (size_t i = 0; i < once.size(); ++i) EXPECT_NEAR(once[i], twice[i], 1e-5f) << i;
}

TEST(Filter, ABatchOfNothingIsSaid) {
  Filtered training;
  try {
    training.train("none", R"(
layer { name: "none" type: "Threshold" bottom: "label" top: "none" threshold_param { threshold: 99 } }
layer { name: "filter" type: "Filter" bottom: "conv" bottom: "label" bottom: "none" top: "some" top: "their_label" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "some" bottom: "their_label" top: "loss" }
)");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_NE(std::string(error.what()).find("layer \"filter\" (Filter): no item of this batch is kept"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace trainer
