// The results of a test over several batches, per batch and on average, also on devices that work asynchronously.
#include "session/evaluate.h"

#include "data/small_data.h"
#include "formats/temp_folder.h"
#include "session/text_session.h"

namespace trainer {
namespace {

using Outputs = std::vector<std::vector<float>>;

std::string datum(const std::string& pixels, int channels, int label) {
  caffe::Datum datum;
  datum.set_channels(channels);
  datum.set_height(1);
  datum.set_width(static_cast<int>(pixels.size()) / channels);
  datum.set_data(pixels);
  datum.set_label(label);
  return datum.SerializeAsString();
}

std::string data_layer(const std::string& folder, int batch_size) {
  return "layer { name: 'data' type: 'Data' top: 'data' top: 'label' data_param { source: '" + folder +
         "' backend: LMDB batch_size: " + std::to_string(batch_size) + " } }\n";
}

// Tests the net over this many batches; stores the results of each batch.
Evaluation evaluate_text(
    const std::string& text, int iterations, std::vector<Outputs>* batches,
    const std::function<bool(int64_t)>& before = [](int64_t) { return true; }) {
  TextSession opened(text);
  NetSession& session = opened.session;
  session.measure();
  return evaluate(session, {iterations, 0}, before, [&](int64_t i, const Outputs& outputs) {
    EXPECT_EQ(static_cast<size_t>(i), batches->size());
    batches->push_back(outputs);
  });
}

class Evaluate : public testing::Test {
 protected:
  // Records of one pixel.
  void write_pixels(const std::vector<int>& pixels) {
    test::Records records;
    for (size_t i = 0; i < pixels.size(); ++i)
      records.push_back({test::key(static_cast<int>(i)), datum(std::string(1, static_cast<char>(pixels[i])), 1, 0)});
    test::write_lmdb(folder_ / "lmdb", records);
  }

  const TempFolder folder_;
  std::vector<Outputs> batches_;
};

// Batches (3, 7), (20, 41), (90, 3), (7, 20).
constexpr char kSums[] = R"(
layer { name: "none" type: "Silence" bottom: "label" }
layer { name: "total" type: "Reduction" bottom: "data" top: "total" loss_weight: 0.5 }
layer { name: "twice" type: "Power" bottom: "data" top: "twice" power_param { scale: 2 } }
)";

TEST_F(Evaluate, EachBatchHasItsOutputsAndAllHaveTheirMean) {
  write_pixels({3, 7, 20, 41, 90});
  const Evaluation result = evaluate_text(data_layer(folder_ / "lmdb", 2) + kSums, 4, &batches_);
  EXPECT_EQ(batches_, (std::vector<Outputs>{{{10}, {6, 14}}, {{61}, {40, 82}}, {{93}, {180, 6}}, {{27}, {14, 40}}}));
  EXPECT_TRUE(result.complete);
  EXPECT_DOUBLE_EQ(result.loss, 23.875);
  ASSERT_EQ(result.outputs.size(), 3u);
  EXPECT_EQ(result.outputs[0].name, "total");
  EXPECT_EQ(result.outputs[0].value, 47.75f);
  EXPECT_EQ(result.outputs[1].value, 60.0f);
  EXPECT_EQ(result.outputs[2].value, 35.5f);
}

TEST_F(Evaluate, OutputsMayBeLarge) {
  write_pixels({3, 7, 20, 41, 90});
  const std::string tiles =
      "layer { name: 'tiles' type: 'Tile' bottom: 'data' top: 'many' tile_param { tiles: 300 } }\n";
  const Evaluation result = evaluate_text(data_layer(folder_ / "lmdb", 2) + tiles + kSums, 4, &batches_);
  ASSERT_EQ(batches_.size(), 4u);
  const float pixels[4][2] = {{3, 7}, {20, 41}, {90, 3}, {7, 20}};
  for (size_t i = 0; i < batches_.size(); ++i) {
    std::vector<float> many(300, pixels[i][0]);
    many.resize(600, pixels[i][1]);
    EXPECT_EQ(batches_[i], (Outputs{many, {pixels[i][0] + pixels[i][1]}, {2 * pixels[i][0], 2 * pixels[i][1]}}));
  }
  EXPECT_DOUBLE_EQ(result.loss, 23.875);
}

TEST_F(Evaluate, OutputsMayChangeTheirSizes) {
  // Widths 2, 3, 2, 100, 2: an output with few elements and one with many.
  test::Records records;
  const size_t widths[] = {2, 3, 2, 100, 2};
  std::vector<Outputs> expected;
  for (size_t i = 0; i < 5; ++i) {
    records.push_back({test::key(static_cast<int>(i)), datum(std::string(widths[i], static_cast<char>(10 + i)), 1, 0)});
    expected.push_back(
        {{static_cast<float>(widths[i] * (10 + i))}, std::vector<float>(widths[i], static_cast<float>(2 * (10 + i)))});
  }
  test::write_lmdb(folder_ / "lmdb", records);
  const Evaluation result = evaluate_text(data_layer(folder_ / "lmdb", 1) + kSums, 5, &batches_);
  EXPECT_EQ(batches_, expected);
  ASSERT_EQ(result.outputs.size(), 1u);
  EXPECT_EQ(result.outputs[0].value, (20.0f + 33.0f + 24.0f + 1300.0f + 28.0f) / 5);
}

TEST_F(Evaluate, WhatStopsItIsAskedBeforeEachBatch) {
  write_pixels({3, 7, 20, 41, 90});
  int asked = 0;
  const auto before = [&](int64_t i) {
    EXPECT_EQ(i, asked++);
    return i < 2;
  };
  EXPECT_FALSE(evaluate_text(data_layer(folder_ / "lmdb", 2) + kSums, 4, &batches_, before).complete);
  EXPECT_EQ(asked, 3);
  EXPECT_EQ(batches_, (std::vector<Outputs>{{{10}, {6, 14}}, {{61}, {40, 82}}}));
}

TEST_F(Evaluate, BatchesBeforeABadRecordCount) {
  test::write_lmdb(folder_ / "lmdb",
                   {{test::key(0), datum("ab", 1, 0)}, {test::key(1), datum("cd", 1, 0)}, {test::key(2), "no record"}});
  try {
    evaluate_text(data_layer(folder_ / "lmdb", 1) + kSums, 3, &batches_);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData) << error.what();
  }
  EXPECT_EQ(batches_, (std::vector<Outputs>{{{97 + 98}, {194, 196}}, {{99 + 100}, {198, 200}}}));
}

// The net makes the labels itself, so no stream checks them.
TEST_F(Evaluate, ABadLabelIsThatOfItsBatch) {
  test::Records records;
  const int labels[] = {1, 0, 5, 1};
  for (int i = 0; i < 4; ++i) records.push_back({test::key(i), datum("abc", 3, labels[i])});
  test::write_lmdb(folder_ / "lmdb", records);
  const std::string accuracy = R"(
layer { name: "same" type: "Power" bottom: "label" top: "made" power_param { scale: 1 shift: 0 } }
layer { name: "more" type: "Power" bottom: "made" top: "more" power_param { shift: 1 } }
layer { name: "accuracy" type: "Accuracy" bottom: "data" bottom: "more" top: "accuracy" }
)";
  try {
    evaluate_text(data_layer(folder_ / "lmdb", 1) + accuracy, 4, &batches_);
    ADD_FAILURE() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kData);
    EXPECT_NE(std::string(error.what()).find("1 labels of this batch"), std::string::npos) << error.what();
  }
  EXPECT_EQ(batches_, (std::vector<Outputs>{{{1}}, {{0}}}));
}

}  // namespace
}  // namespace trainer
