// Fine-tuning: weights with matching names are copied, frozen weights do not change by a bit.
#include <cstring>

#include "data/small_data.h"
#include "session/parameters.h"
#include "train/train_net.h"

namespace trainer {
namespace {

std::string net(const TempFolder& folder, const std::string& frozen, const std::string& last, int classes) {
  return R"(
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 }
  data_param { source: ")" +
         (folder / "lmdb") + R"(" backend: LMDB batch_size: 8 } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" )" +
         frozen + frozen + R"(
  convolution_param { num_output: 6 kernel_size: 3 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: ")" +
         last + R"(" type: "InnerProduct" bottom: "conv" top: "score"
  inner_product_param { num_output: )" +
         std::to_string(classes) + R"( weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
)";
}

// The names are those of a file from another source.
TEST(FineTuning, NamesInTheTableDoNotControlTheTerminal) {
  const std::string table =
      match_table("w.caffemodel", {{WeightMatch::kUnused, "a\x1b[2J\nIteration 99, loss = 0", "no layer"}});
  EXPECT_NE(table.find("a\\x1b[2J\\x0aIteration 99, loss = 0"), std::string::npos) << table;
}

TEST(FineTuning, FrozenLayersKeepTheirBits) {
  const TempFolder folder;
  test::write_lmdb(folder / "lmdb", test::raw_records(53, 3, 6, 6));
  const WeightFile first = train_net(folder, "first", net(folder, "", "score", 10));
  const std::string weights = folder / "first_iter_" + std::to_string(kTrainNetIterations) + ".caffemodel";
  const WeightFile second =
      train_net(folder, "second", net(folder, " param { lr_mult: 0 }", "score_mine", 12), {weights});

  const WeightLayer &before = layer_called(first, "conv"), &after = layer_called(second, "conv");
  ASSERT_EQ(after.blobs.size(), 2u);
  for (size_t k = 0; k < 2; ++k) {
    ASSERT_EQ(after.blobs[k].data.size(), before.blobs[k].data.size());
    EXPECT_EQ(std::memcmp(after.blobs[k].data.data(), before.blobs[k].data.data(), before.blobs[k].data.size() * 4), 0);
  }
  EXPECT_EQ(layer_called(second, "score_mine").blobs[0].shape[0], 12);
}

// A file may hold a layer without blobs with the name of one with blobs: only the latter counts.
TEST(FineTuning, ALayerWithoutBlobsHidesNoneOfItsName) {
  const TempFolder folder;
  test::write_lmdb(folder / "lmdb", test::raw_records(53, 3, 6, 6));
  std::string text = net(folder, "", "score", 10);
  text.replace(text.find("\"relu\""), 6, "\"conv\"");
  const WeightFile first = train_net(folder, "first", text);
  const std::string weights = folder / "first_iter_" + std::to_string(kTrainNetIterations) + ".caffemodel";
  std::string frozen = net(folder, " param { lr_mult: 0 }", "score", 10);
  frozen.replace(frozen.find("\"relu\""), 6, "\"conv\"");
  const WeightFile second = train_net(folder, "second", frozen, {weights});
  EXPECT_EQ(layer_called(second, "conv").blobs.at(0).data, layer_called(first, "conv").blobs.at(0).data);
}

}  // namespace
}  // namespace trainer
