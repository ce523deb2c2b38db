// Epochs that read records by weight: numbers of reads, draws, labels of a database, mistakes.
#include <algorithm>
#include <cmath>
#include <fstream>
#include <map>

#include "data/sampler.h"
#include "data/small_data.h"

namespace trainer {
namespace {

using test::data_layer;
using test::error_text;
using test::expect_contains;
using test::options;
using test::take_many;

constexpr uint64_t kKey = 0x123456789ABCDEFu;

std::vector<uint32_t> drawn(const RecordWeights& weights, uint64_t epoch) {
  WeightedOrder order(weights, kKey);
  std::vector<uint32_t> records;
  order.draw(epoch, records);
  return records;
}

std::vector<int> reads(const RecordWeights& weights, uint64_t epoch) {
  std::vector<int> counts(weights.weights.size());
  for (const uint32_t record : drawn(weights, epoch)) ++counts[record];
  return counts;
}

// Computed by a separate Python program with exact fractions from the rules in the headers.
TEST(WeightedOrder, KnownValues) {
  const RecordWeights weights{{1, 2.5, 0, 4, 0.5, 3, 3, 1, 2, 0.25}, {1, 0, 0, 1, 2, 2, 1, 0, 1, 2}};
  EXPECT_EQ(drawn(weights, 0), (std::vector<uint32_t>{8, 7, 3, 1, 0, 5, 6, 3, 3, 5}));
  EXPECT_EQ(drawn(weights, 1), (std::vector<uint32_t>{5, 6, 5, 3, 6, 0, 8, 3, 1, 1}));
  EXPECT_EQ(drawn(weights, 9), (std::vector<uint32_t>{6, 6, 0, 5, 8, 1, 3, 3, 5, 1}));
}

TEST(WeightedOrder, WholeExpectedNumbersAreExact) {
  for (uint64_t epoch = 0; epoch < 200; ++epoch) {
    EXPECT_EQ(reads({{0.1, 0.2, 0.3, 0, 0, 0}, {}}, epoch), (std::vector<int>{1, 2, 3, 0, 0, 0}));
    EXPECT_EQ(reads({std::vector<double>(49, 0.7), {}}, epoch), std::vector<int>(49, 1));
  }
}

// Weights of very different sizes, in classes of different sizes.
TEST(WeightedOrder, NumbersOfReadsAreTheExpectedOnesRoundedUpOrDown) {
  constexpr size_t kRecords = 997;
  constexpr int kEpochs = 400;
  RecordWeights weights;
  std::vector<double> of_class(7);
  double total = 0;
  for (size_t i = 0; i < kRecords; ++i) {
    const double weight = i % 10 == 3 ? 0 : std::exp(static_cast<double>(i * i % 13) - 6);
    weights.weights.push_back(weight);
    weights.classes.push_back(static_cast<uint32_t>(i * i % 7));
    of_class[weights.classes.back()] += weight;
    total += weight;
  }
  std::vector<int> sums(kRecords);
  for (uint64_t epoch = 0; epoch < kEpochs; ++epoch) {
    const std::vector<int> counts = reads(weights, epoch);
    std::vector<int> in_class(of_class.size());
    int all = 0;
    for (size_t i = 0; i < kRecords; ++i) {
      EXPECT_LT(std::fabs(counts[i] - kRecords * weights.weights[i] / total), 1);
      in_class[weights.classes[i]] += counts[i];
      sums[i] += counts[i];
      all += counts[i];
    }
    EXPECT_EQ(all, static_cast<int>(kRecords));
    for (size_t c = 0; c < of_class.size(); ++c)
      EXPECT_LT(std::fabs(in_class[c] - kRecords * of_class[c] / total), 1 + 1e-6);
  }
  // A record is read once more than the rounded down number with a probability of at most a half on average.
  for (size_t i = 0; i < kRecords; ++i)
    EXPECT_NEAR(sums[i] / double{kEpochs}, kRecords * weights.weights[i] / total, 4.5 * 0.5 / std::sqrt(kEpochs)) << i;
}

TEST(WeightedOrder, ASamplerCanBeEnteredAnywhere) {
  const RecordWeights weights{{1, 2, 3, 4, 5}, {}};
  Sampler sampler(5, true, kKey, 2, weights), other(5, true, kKey, 2, weights);
  std::vector<uint64_t> all;
  for (uint64_t offset = 0; offset < 40; ++offset) all.push_back(sampler.index(offset));
  for (const uint64_t offset : {39u, 3u, 20u, 2u}) EXPECT_EQ(other.index(offset), all[offset]);
  // Position 2 of the first epoch comes first.
  const std::vector<uint32_t> second = drawn(weights, 1);
  EXPECT_TRUE(std::equal(second.begin(), second.end(), all.begin() + 3));
  EXPECT_GT(sampler.memory_bytes(), Sampler(5, true, kKey).memory_bytes());
}

// 20 records of class 0, 8 of class 1 and 2 of class 2.
class Sampled : public testing::Test {
 protected:
  void SetUp() override {
    test::Records records;
    for (int i = 0; i < 30; ++i)
      records.emplace_back(test::key(i), test::raw_datum(i, 1, 1, 1, i < 20 ? 0 : i < 28 ? 1 : 2));
    test::write_lmdb(folder_ / "db", records);
    std::ofstream list(folder_ / "list.txt");
    for (int i = 0; i < 30; ++i) {
      std::ofstream(folder_ / (std::to_string(i) + ".pgm")) << "P5 1 1 255\n" << static_cast<char>(i);
      list << folder_ / (std::to_string(i) + ".pgm") << " " << (i < 20 ? 0 : i < 28 ? 1 : 2) << "\n";
    }
  }
  caffe::LayerParameter database(const std::string& sampling, const std::string& other = "shuffle: true") {
    return data_layer(folder_ / "db", 30, other + " sampling { " + sampling + " }");
  }
  caffe::LayerParameter list(const std::string& sampling, const std::string& other = "") {
    return test::layer_of("name: 'data' type: 'ImageData' top: 'data' top: 'label' image_data_param { source: '" +
                          folder_ / "list.txt" + "' batch_size: 30 is_color: false shuffle: true " + other +
                          " sampling { " + sampling + " } }");
  }
  // The number of reads of each value of a top in one epoch.
  std::map<int, int> counts(const caffe::LayerParameter& layer, size_t top = 1,
                            const StreamOptions& options = test::options()) {
    auto stream = test::open_stream(layer, options, &warnings_);
    stream->start();
    const test::Batch epoch = take_many(*stream, 1)[0];
    std::map<int, int> counts;
    for (const float value : epoch.tops[top]) ++counts[static_cast<int>(value)];
    return counts;
  }
  std::string mistake(const caffe::LayerParameter& layer, ExitCode code = ExitCode::kConfiguration) {
    return error_text([&] { test::open_stream(layer, options()); }, code);
  }
  std::string file(const std::string& text) {
    std::ofstream(folder_ / "w.txt") << text;
    return "record_weights: '" + folder_ / "w.txt" + "'";
  }
  test::TemporaryFolder folder_;
  std::string warnings_;
};

using Counts = std::map<int, int>;

TEST_F(Sampled, BalancedClasses) {
  EXPECT_EQ(counts(database("balance_classes: true")), (Counts{{0, 10}, {1, 10}, {2, 10}}));
  EXPECT_EQ(counts(list("balance_classes: true")), (Counts{{0, 10}, {1, 10}, {2, 10}}));
  EXPECT_EQ(warnings_, "");
}

TEST_F(Sampled, WeightsOfClasses) {
  // 20 * 1 + 8 * 5 + 2 * 0 = 60 for 30 reads.
  EXPECT_EQ(counts(database("class_weight: [1, 5, 0]")), (Counts{{0, 10}, {1, 20}}));
  EXPECT_EQ(counts(list("class_weight: [1, 5, 0, 8]")), (Counts{{0, 10}, {1, 20}}));
}

TEST_F(Sampled, WeightsOfRecords) {
  // Records 0 and 29 only.
  std::string lines = "2\n";
  for (int i = 1; i < 29; ++i) lines += i % 2 == 0 ? "0\n" : " 0.0 \r\n";
  const std::string weights = file(lines + "1");
  EXPECT_EQ(counts(list(weights)), (Counts{{0, 20}, {2, 10}}));
  EXPECT_EQ(counts(list(file(lines + "1\n \n\n"))), (Counts{{0, 20}, {2, 10}}));
  EXPECT_EQ(counts(database(weights)), (Counts{{0, 20}, {2, 10}}));
  // Products: 2 * 1 and 1 * 4.
  EXPECT_EQ(counts(list(weights + " class_weight: [1, 1, 4]")), (Counts{{0, 10}, {2, 20}}));
  // Weights count within the class; a class without any is not read.
  EXPECT_EQ(counts(list(weights + " balance_classes: true")), (Counts{{0, 15}, {2, 15}}));
}

TEST_F(Sampled, TestsAndStreamsInOrderReadEachRecordOnce) {
  Counts once;
  for (int i = 0; i < 30; ++i) once[i] = 1;
  EXPECT_EQ(counts(list("class_weight: [1, 0, 0]"), 0, options(caffe::TEST)), once);
  StreamOptions in_order = options();
  in_order.in_order = true;
  EXPECT_EQ(counts(list("class_weight: [1, 0, 0]"), 0, in_order), once);
}

TEST_F(Sampled, RanksDivideAnEpoch) {
  Counts all;
  for (int rank = 0; rank < 3; ++rank) {
    StreamOptions of_rank = options();
    of_rank.rank = rank;
    of_rank.world = 3;
    caffe::LayerParameter layer = database("balance_classes: true");
    layer.mutable_data_param()->set_batch_size(10);
    for (const auto& [label, count] : counts(layer, 1, of_rank)) all[label] += count;
  }
  EXPECT_EQ(all, (Counts{{0, 10}, {1, 10}, {2, 10}}));
}

TEST_F(Sampled, MissingClasses) {
  std::ofstream(folder_ / "names.txt") << "a\nb\nc\nd\ne\n";
  const std::string names = "labels: '" + folder_ / "names.txt" + "'";
  EXPECT_EQ(counts(list("balance_classes: true", names)), (Counts{{0, 10}, {1, 10}, {2, 10}}));
  expect_contains(warnings_, {"has no record of 2 of its 5 classes (3, 4): the others are read equally often"});
  expect_contains(mistake(list("class_weight: [1, 2, 3, 4]", names)), {"class_weight has 4 values", "has 5 classes"});
  expect_contains(mistake(database("class_weight: [1, 2]")), {"class_weight has 2 values", "has 3 classes"});
}

TEST_F(Sampled, MistakesInAFileOfWeights) {
  const auto data_mistake = [&](const std::string& text) { return mistake(list(file(text)), ExitCode::kData); };
  expect_contains(data_mistake("1\n2\n"), {"w.txt has 2 lines", "has 30 records"});
  std::string lines;
  for (int i = 0; i < 31; ++i) lines += "0\n";
  expect_contains(data_mistake(lines), {"w.txt has 31 lines"});
  expect_contains(data_mistake(lines.substr(2)), {"each record of", "has the weight 0"});
  expect_contains(data_mistake("1\n-2\n"), {"w.txt:2: \"-2\" is not a weight"});
  expect_contains(data_mistake("1\n\n2\n"), {"w.txt:2: \"\" is not a weight"});
  for (const char* word : {"much", "nan", "inf", "1e39", "1 2"})
    expect_contains(data_mistake(std::string(word) + "\n"), {"w.txt:1: \"" + std::string(word) + "\" is not a weight"});
  expect_contains(data_mistake(std::string("1\n\0", 3)), {"is not a text file"});
  expect_contains(mistake(list("record_weights: 'none'"), ExitCode::kData), {"none"});
}

TEST_F(Sampled, RecordsWithoutAClass) {
  test::write_lmdb(folder_ / "bad", {{"a", test::raw_datum(0, 1, 1, 1, 0)}, {"b", "no datum"}});
  const auto layer = [&](const std::string& fields) {
    return data_layer(folder_ / "bad", 2, "shuffle: true sampling { balance_classes: true } " + fields);
  };
  expect_contains(mistake(layer(""), ExitCode::kData), {"record 1 (key \"b\")", "damaged", "skip_bad_records: true"});
  EXPECT_EQ(counts(layer("skip_bad_records: true")), (Counts{{0, 2}}));
  test::write_lmdb(folder_ / "negative", {{"a", test::raw_datum(0, 1, 1, 1, -1)}});
  expect_contains(
      mistake(data_layer(folder_ / "negative", 1, "shuffle: true sampling { balance_classes: true }"), ExitCode::kData),
      {"record 0 (key \"a\")", "its label is -1"});
}

}  // namespace
}  // namespace trainer
