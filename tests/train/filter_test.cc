// Nets whose shapes depend on the data: Filter, which keeps another number of items in each batch.
#include "data/small_data.h"
#include "train/train_net.h"

namespace trainer {
namespace {

class Filter : public testing::Test {
 protected:
  Filter() { test::write_lmdb(folder_ / "lmdb", test::raw_records(53, 3, 6, 6)); }

  // Returns the trained convolution below `head`.
  WeightLayer train(const std::string& name, const std::string& head) {
    const std::string trunk = R"(
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 }
  data_param { source: ")" + (folder_ / "lmdb") +
                              R"(" backend: LMDB batch_size: 8 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 10 kernel_size: 6 weight_filler { type: "xavier" } } }
)";
    return layer_called(train_net(folder_, name, trunk + head), "conv");
  }

 private:
  TempFolder folder_;
};

// Removing the items of label 0 and ignoring label 0 give the same result.
TEST_F(Filter, TrainsAsIfTheItemsWereIgnored) {
  const WeightLayer ignored = train("ignored", R"(
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "conv" bottom: "label" top: "loss" loss_param { ignore_label: 0 } }
)");
  const WeightLayer kept = train("kept", R"(
layer { name: "filter" type: "Filter" bottom: "conv" bottom: "label" bottom: "label" top: "some" top: "their_label" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "some" bottom: "their_label" top: "loss" }
)");
  expect_near_blobs(kept, ignored);
}

TEST_F(Filter, ASecondFilterSeesWhatTheFirstKept) {
  const WeightLayer once = train("once", R"(
layer { name: "large" type: "Threshold" bottom: "label" top: "large" threshold_param { threshold: 3.5 } }
layer { name: "filter" type: "Filter" bottom: "conv" bottom: "label" bottom: "large" top: "some" top: "their_label" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "some" bottom: "their_label" top: "loss" }
)");
  const WeightLayer twice = train("twice", R"(
layer { name: "any" type: "Filter" bottom: "conv" bottom: "label" bottom: "label" top: "some" top: "some_label" }
layer { name: "large" type: "Threshold" bottom: "some_label" top: "large" threshold_param { threshold: 3.5 } }
layer { name: "filter" type: "Filter" bottom: "some" bottom: "some_label" bottom: "large" top: "few" top: "few_label" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "few" bottom: "few_label" top: "loss" }
)");
  expect_near_blobs(once, twice);
}

TEST_F(Filter, TwoLayersWithOneSelectorKeepTheSameItems) {
  const WeightLayer together = train("together", R"(
layer { name: "filter" type: "Filter" bottom: "conv" bottom: "label" bottom: "label" top: "some" top: "their_label" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "some" bottom: "their_label" top: "loss" }
)");
  const WeightLayer apart = train("apart", R"(
layer { name: "items" type: "Filter" bottom: "conv" bottom: "label" top: "some" }
layer { name: "labels" type: "Filter" bottom: "label" bottom: "label" top: "their_label" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "some" bottom: "their_label" top: "loss" }
)");
  expect_near_blobs(together, apart);
}

TEST_F(Filter, ABatchOfNothingIsSaid) {
  try {
    train("none", R"(
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
