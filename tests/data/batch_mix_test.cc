// MixUp and CutMix: formulas, draws, labels, memory formats, ranks and mistakes.
#include "data/feeds/batch_mix.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "data/small_data.h"

namespace trainer {
namespace {

using test::Batch;
using test::data_layer;
using test::error_text;
using test::expect_contains;
using test::options;
using test::take_many;

// Value i of the batch is i * i % 101.
class MixedRows : public testing::TestWithParam<MemoryFormat> {
 protected:
  explicit MixedRows(Shape items = {3, 2, 3, 4}) : items_(std::move(items)) {}

  // Where value i of the row-major batch is.
  size_t place(int64_t i) const {
    if (GetParam() == MemoryFormat::kRowMajor) return static_cast<size_t>(i);
    const int64_t inner = items_.count(2), channels = items_[1];
    const int64_t row = i / items_.count(1), channel = i / inner % channels;
    return static_cast<size_t>((row * inner + i % inner) * channels + channel);
  }
  BatchBuffer batch() {
    values_.resize(static_cast<size_t>(items_.count()));
    for (int64_t i = 0; i < items_.count(); ++i) values_[place(i)] = static_cast<float>(i * i % 101);
    BatchBuffer buffer;
    buffer.layout = {{items_, DType::kF32, GetParam()}};
    buffer.data = {values_.data()};
    return buffer;
  }
  void expect_values(const std::vector<float>& expected) const {
    ASSERT_EQ(expected.size(), values_.size());
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(values_[place(static_cast<int64_t>(i))], expected[i], 1e-5) << i;
  }

  Shape items_;
  std::vector<float> values_;
};

// The numbers are those of torchvision 0.29.2, v2.MixUp and v2.CutMix:
//   x = (torch.arange(72.) ** 2 % 101).reshape(3, 2, 3, 4)
//   mix = v2.MixUp(num_classes=4); mix._dist = an object whose sample() gives torch.tensor(0.3); mix(x, labels)
TEST_P(MixedRows, MixUpIsThatOfTorchvision) {
  items_ = {3, 2, 2, 3};
  mix_rows(batch(), 0, 0.3);
  expect_values({49.7f, 13.6f, 50.2f, 18.1f, 58.7f, 30.6f, 75.2f, 51.1f, 29.0f, 79.6f, 61.5f, 15.1f,
                 12.9f, 21.1f, 31.3f, 13.2f, 27.4f, 43.6f, 31.5f, 51.7f, 73.9f, 67.8f, 94.0f, 21.2f,
                 51.4f, 53.3f, 87.5f, 22.7f, 60.9f, 70.8f, 42.3f, 56.2f, 72.1f, 49.6f, 69.5f, 20.7f});
}

TEST_P(MixedRows, CutMixIsThatOfTorchvision) {
  cut_rows(batch(), 0, cut_box(0.3, 1, 3, 3, 4));
  expect_values({0,  1,  76, 76, 16, 25, 88, 96, 64, 81, 100, 20, 43, 68, 6,  30, 54, 87, 13, 45, 97, 37, 80, 24,
                 71, 19, 4,  9,  77, 33, 36, 49, 14, 79, 45,  13, 84, 56, 95, 23, 85, 65, 21, 58, 17, 5,  96, 88,
                 82, 78, 70, 22, 78, 82, 92, 52, 5,  17, 31,  47, 65, 85, 30, 6,  56, 84, 47, 31, 79, 14, 52, 92});
}

INSTANTIATE_TEST_SUITE_P(Formats, MixedRows, testing::Values(MemoryFormat::kRowMajor, MemoryFormat::kChannelsLast));

// Rows longer than the span that is mixed at once.
TEST(BatchMix, LongRows) {
  constexpr int64_t kCount = 2500;
  std::vector<float> values;
  for (int64_t i = 0; i < 2 * kCount; ++i) values.push_back(static_cast<float>(i));
  BatchBuffer batch;
  batch.layout = {{Shape{2, kCount}, DType::kF32, MemoryFormat::kRowMajor}};
  batch.data = {values.data()};
  mix_rows(batch, 0, 0.75);
  for (int64_t i = 0; i < kCount; ++i) {
    EXPECT_EQ(values[static_cast<size_t>(i)], static_cast<float>(i) + 0.25f * kCount);
    EXPECT_EQ(values[static_cast<size_t>(i + kCount)], static_cast<float>(i) + 0.75f * kCount);
  }
}

// v2.CutMix(num_classes=4).make_params() of torchvision 0.29.2 with given draws.
TEST(BatchMix, BoxesAreThoseOfTorchvision) {
  const auto expect_box = [](double keep, int64_t cy, int64_t cx, int64_t height, int64_t width,
                             const std::vector<int64_t>& corners, double kept) {
    const CutBox box = cut_box(keep, cy, cx, height, width);
    EXPECT_EQ((std::vector<int64_t>{box.x1, box.y1, box.x2, box.y2}), corners);
    EXPECT_DOUBLE_EQ(box.kept_area(height, width), kept);
  };
  expect_box(0.3, 0, 0, 32, 32, {0, 0, 13, 13}, 0.8349609375);
  expect_box(0.3, 31, 31, 32, 32, {18, 18, 32, 32}, 0.80859375);
  expect_box(0.9, 5, 100, 224, 160, {75, 0, 125, 40}, 0.9441964285714286);
  expect_box(0.01, 112, 3, 224, 160, {0, 1, 82, 223}, 0.4920758928571428);
  expect_box(1.0, 3, 3, 8, 8, {3, 3, 3, 3}, 1.0);
  expect_box(0.0, 4, 4, 8, 8, {0, 0, 8, 8}, 0.0);
  expect_box(0.5, 6, 2, 7, 9, {0, 4, 5, 7}, 0.7619047619047619);
}

std::vector<double> beta_draws(double alpha, int count) {
  std::vector<double> draws;
  for (int i = 0; i < count; ++i) {
    Draws source(17, 0, static_cast<uint64_t>(i));
    draws.push_back(draw_beta(alpha, source));
  }
  return draws;
}

// The Kolmogorov-Smirnov distance to the distribution functions, which are elementary for these parameters.
TEST(BatchMix, ProportionsHaveTheDistributionBeta) {
  constexpr int kDraws = 20000;
  const auto distance = [](double alpha, double (*distribution)(double)) {
    std::vector<double> draws = beta_draws(alpha, kDraws);
    std::sort(draws.begin(), draws.end());
    double most = 0;
    for (int i = 0; i < kDraws; ++i)
      most = std::max(most, std::fabs(distribution(draws[static_cast<size_t>(i)]) - (i + 0.5) / kDraws));
    return most;
  };
  const double bound = 1.95 / std::sqrt(kDraws);  // exceeded once in 1,000
  EXPECT_LT(distance(1, [](double x) { return x; }), bound);
  EXPECT_LT(distance(0.5, [](double x) { return 2 / 3.14159265358979 * std::asin(std::sqrt(x)); }), bound);
  EXPECT_LT(distance(2, [](double x) { return x * x * (3 - 2 * x); }), bound);
}

// The variance of Beta(a, a) is 1 / (4 (2 a + 1)).
TEST(BatchMix, SmallAndLargeParametersOfBeta) {
  for (const double alpha : {1e-30, 0.01, 0.2, 20.0, 1e6}) {
    double sum = 0, squares = 0;
    const std::vector<double> draws = beta_draws(alpha, 20000);
    for (const double draw : draws) {
      ASSERT_TRUE(draw >= 0 && draw <= 1) << alpha;
      sum += draw - 0.5;
      squares += (draw - 0.5) * (draw - 0.5);
    }
    const auto count = static_cast<double>(draws.size());
    const double variance = 1 / (4 * (2 * alpha + 1));
    EXPECT_NEAR(sum / count, 0, 4 * std::sqrt(variance / count)) << alpha;
    EXPECT_NEAR(squares / count / variance, 1, 0.05) << alpha;
  }
}

// Records with labels 0 to count - 1; no two of them have a common pixel value.
test::Records numbered_records(int count) {
  test::Records records;
  for (int i = 0; i < count; ++i) {
    caffe::Datum datum;
    datum.set_channels(2);
    datum.set_height(8);
    datum.set_width(6);
    datum.set_label(i);
    for (int p = 0; p < 2 * 8 * 6; ++p) datum.mutable_data()->push_back(static_cast<char>(12 * i + p % 11));
    records.emplace_back(test::key(i), datum.SerializeAsString());
  }
  return records;
}

class MixedStream : public testing::Test {
 protected:
  void SetUp() override { test::write_lmdb(folder_ / "db", numbered_records(20)); }
  std::vector<Batch> batches(const std::string& mix, const StreamOptions& options = test::options(),
                             MemoryFormat order = MemoryFormat::kRowMajor) {
    auto stream =
        test::open_stream(data_layer(folder_ / "db", 6, "shuffle: true", "crop_size: 5 mirror: true " + mix), options);
    stream->set_orders({order});
    stream->start();
    return take_many(*stream, 8);
  }
  std::string mistake(const std::string& mix, ExitCode code, const std::string& data_param = "") {
    return error_text([&] { test::open_stream(data_layer(folder_ / "db", 6, data_param, mix), options()); }, code);
  }
  test::TemporaryFolder folder_;
};

constexpr size_t kRows = 6, kClasses = 20, kValues = 2 * 5 * 5;

// The part of its own label that a row keeps. Checks that the rest is that of the row before.
float kept(const Batch& mixed, const Batch& plain, size_t row) {
  const auto label = mixed.tops[1].begin() + static_cast<std::ptrdiff_t>(row * kClasses);
  const auto own = static_cast<size_t>(plain.tops[1][row]),
             other = static_cast<size_t>(plain.tops[1][(row + kRows - 1) % kRows]);
  std::vector<float> expected(kClasses);
  const float keep = label[static_cast<std::ptrdiff_t>(own)];
  expected[own] = keep;
  expected[other] += 1 - keep;
  for (size_t c = 0; c < kClasses; ++c) EXPECT_NEAR(label[static_cast<std::ptrdiff_t>(c)], expected[c], 1e-6);
  return keep;
}

TEST_F(MixedStream, MixUpBlendsEachItemWithTheOneBefore) {
  for (const MemoryFormat order : {MemoryFormat::kRowMajor, MemoryFormat::kChannelsLast}) {
    const std::vector<Batch> plain = batches("", options(), order),
                             mixed = batches("mix { mixup: 1 classes: 20 }", options(), order);
    std::set<float> proportions;
    for (size_t b = 0; b < plain.size(); ++b) {
      ASSERT_EQ(mixed[b].tops[1].size(), kRows * kClasses);
      for (size_t row = 0; row < kRows; ++row) {
        const float keep = kept(mixed[b], plain[b], row);
        proportions.insert(std::round(keep * 1e5f));
        for (size_t i = 0; i < kValues; ++i) {
          const float own = plain[b].tops[0][row * kValues + i],
                      other = plain[b].tops[0][(row + kRows - 1) % kRows * kValues + i];
          EXPECT_NEAR(mixed[b].tops[0][row * kValues + i], keep * own + (1 - keep) * other, 1e-3);
        }
      }
    }
    EXPECT_EQ(proportions.size(), plain.size());  // one for each batch
  }
}

TEST_F(MixedStream, CutMixReplacesTheAreaThatTheLabelGives) {
  const std::vector<Batch> plain = batches(""), mixed = batches("mix { cutmix: 1 classes: 20 }");
  std::set<float> areas;
  for (size_t b = 0; b < plain.size(); ++b) {
    for (size_t row = 0; row < kRows; ++row) {
      const float keep = kept(mixed[b], plain[b], row);
      size_t own = 0;
      for (size_t i = 0; i < kValues; ++i) {
        const size_t at = row * kValues + i;
        if (mixed[b].tops[0][at] == plain[b].tops[0][at]) {
          ++own;
        } else {
          EXPECT_EQ(mixed[b].tops[0][at], plain[b].tops[0][(row + kRows - 1) % kRows * kValues + i]);
        }
      }
      EXPECT_NEAR(static_cast<float>(own) / kValues, keep, 1e-6);
      areas.insert(keep);
    }
  }
  EXPECT_GT(areas.size(), 3u);
}

TEST_F(MixedStream, ProbabilitiesSelectWhatABatchGets) {
  const std::vector<Batch> plain = batches("");
  const std::vector<Batch> never = batches("mix { mixup: 1 cutmix: 1 probability: 0 classes: 20 }");
  for (size_t b = 0; b < plain.size(); ++b) {
    EXPECT_EQ(never[b].tops[0], plain[b].tops[0]);
    for (size_t row = 0; row < kRows; ++row) EXPECT_EQ(kept(never[b], plain[b], row), 1.0f);
  }
  const auto with = [&](const std::string& fields) { return batches("mix { classes: 20 " + fields + " }"); };
  // The same draws as with one of the two, but for the draw that decides.
  const auto cuts = [&](const std::vector<Batch>& mixed) {
    size_t count = 0;
    for (size_t b = 0; b < plain.size(); ++b) {
      // A whole value: CutMix moves pixels, MixUp blends them.
      const std::vector<float>& values = mixed[b].tops[0];
      count += std::all_of(values.begin(), values.end(), [](float value) { return value == std::round(value); });
    }
    return count;
  };
  EXPECT_EQ(cuts(with("mixup: 1 cutmix: 1 cutmix_probability: 1")), plain.size());
  EXPECT_EQ(cuts(with("mixup: 1 cutmix: 1 cutmix_probability: 0")), 0u);
  const size_t some = cuts(with("mixup: 1 cutmix: 1"));
  EXPECT_TRUE(some > 0 && some < plain.size());
}

TEST_F(MixedStream, OnlyInTraining) {
  EXPECT_TRUE(batches("mix { mixup: 1 classes: 20 }", options(caffe::TEST)) == batches("", options(caffe::TEST)));
  StreamOptions in_order = options();
  in_order.in_order = true;
  EXPECT_TRUE(batches("mix { mixup: 1 classes: 20 }", in_order) == batches("", in_order));
}

TEST_F(MixedStream, EachRankMixesItsBatches) {
  std::set<float> proportions;
  for (int rank = 0; rank < 2; ++rank) {
    StreamOptions of_rank = options();
    of_rank.rank = rank;
    of_rank.world = 2;
    const std::vector<Batch> plain = batches("", of_rank), mixed = batches("mix { mixup: 1 classes: 20 }", of_rank);
    for (size_t b = 0; b < plain.size(); ++b) {
      float least = 1;  // two rows that follow each other may have the same label
      for (size_t row = 0; row < kRows; ++row) least = std::min(least, kept(mixed[b], plain[b], row));
      proportions.insert(least);
    }
  }
  EXPECT_EQ(proportions.size(), 16u);
}

TEST_F(MixedStream, ClassesOfImages) {
  std::ofstream(folder_ / "list.txt") << folder_ / "0.pgm 0\n" << folder_ / "1.pgm 1\n";
  for (const char* name : {"0.pgm", "1.pgm"}) std::ofstream(folder_ / name) << "P5 1 1 255\n7";
  std::ofstream(folder_ / "three.txt") << "a\nb\nc\n";
  const auto layer = [&](const std::string& mix, const std::string& names) {
    return test::layer_of("name: 'data' type: 'ImageData' top: 'data' top: 'label' transform_param { mix { mixup: 1 " +
                          mix + " } } image_data_param { batch_size: 2 source: '" + folder_ / "list.txt" + "' " +
                          (names.empty() ? "" : "labels: '" + folder_ / names + "'") + " }");
  };
  const auto shape = [&](const std::string& mix, const std::string& names) {
    return test::open_stream(layer(mix, names), options())->next_batch_descs()[1].shape;
  };
  EXPECT_EQ(shape("classes: 5", ""), (Shape{2, 5}));
  EXPECT_EQ(shape("", "three.txt"), (Shape{2, 3}));
  EXPECT_EQ(shape("classes: 4", "three.txt"), (Shape{2, 4}));
  const auto reason = [&](const std::string& mix, const std::string& names) {
    return error_text([&] { shape(mix, names); }, ExitCode::kConfiguration);
  };
  expect_contains(reason("", ""), {"mix needs the number of classes", "mix { classes: 10 }"});
  expect_contains(reason("classes: 2", "three.txt"), {"classes is 2, but the data has 3"});
}

TEST_F(MixedStream, ALabelThatIsNoClassNamesTheRecord) {
  for (const char* skip : {"", "skip_bad_records: true"}) {
    auto stream = test::open_stream(data_layer(folder_ / "db", 6, skip, "mix { mixup: 1 classes: 9 }"), options());
    stream->start();
    take_many(*stream, 1);
    expect_contains(error_text([&] { take_many(*stream, 1); }),
                    {"record 9 (key \"00000009\")", "its label is 9", "the classes 0 to 8"});
  }
}

}  // namespace
}  // namespace trainer
