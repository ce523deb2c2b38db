// The metric layers in tests of a whole data set, in batches of several sizes: numbers from scikit-learn 1.9.1 in
// double precision. The calibration error follows the formula of Guo et al., the perplexity is e^log_loss.
#include <cmath>

#include "base/error.h"
#include "data/small_data.h"
#include "formats/temp_folder.h"
#include "session/evaluate.h"
#include "session/text_session.h"

namespace trainer {
namespace {

constexpr int kRecords = 23;

// Scores with many ties. No item has class 5, and no prediction is class 3 or 5.
float score_of(int i, int c) {
  const int eighths = (i * 29 + c * 53) % 97 / 6;
  return static_cast<float>(eighths) / 4 - (c == 3 ? 4.0f : c == 5 ? 8.0f : 0.0f);
}
// 0 to 3
int label_of(int i) { return (i * i + i / 3) % 4; }

using Row = std::vector<float>;
using Values = std::vector<std::pair<std::string, double>>;

class EvaluateMetrics : public testing::Test {
 protected:
  // A row gives the elements of a record: scores, then labels.
  void write(const std::function<Row(int)>& row) {
    test::Records records;
    for (int i = 0; i < kRecords; ++i) {
      caffe::Datum datum;
      const Row elements = row(i);
      datum.set_channels(static_cast<int>(elements.size()));
      datum.set_height(1);
      datum.set_width(1);
      for (float element : elements) datum.add_float_data(element);
      records.push_back({test::key(i), datum.SerializeAsString()});
    }
    test::write_lmdb(folder_ / "lmdb", records);
  }

  void write_scores(int classes) {
    write([=](int i) {
      Row row;
      for (int c = 0; c < classes; ++c) row.push_back(score_of(i, c));
      row.push_back(static_cast<float>(label_of(i)));
      return row;
    });
  }

  // `scores`: the elements of a record before the labels.
  std::string split_records(int batch, int scores) const {
    return "layer { name: 'data' type: 'Data' top: 'record' data_param { source: '" + (folder_ / "lmdb") +
           "' backend: LMDB batch_size: " + std::to_string(batch) +
           " } } layer { name: 'split' type: 'Slice' bottom: 'record' top: 'x' top: 'y' slice_param { slice_point: " +
           std::to_string(scores) + " } }\n";
  }

  Evaluation run(const std::string& text) {
    TextSession opened(text, caffe::TEST, {true});
    NetSession& session = opened.session;
    session.measure();
    counted_ = 0;
    const Evaluation result = evaluate(
        session, {0, 1}, [](int64_t) { return true; },
        [&](int64_t, const std::vector<std::vector<float>>& outputs) {
          if (!outputs.empty()) counted_ += outputs[0].at(0);
        });
    EXPECT_EQ(result.outputs.size(), named_outputs(session.lowered()).size());
    return result;
  }

  // Expects the values and the cells of the table, if there are any, for batches of several sizes.
  void expect(int scores, const std::string& layers, const Values& values, const std::vector<double>& cells = {}) {
    for (const int batch : {1, 4, 22, 23, 40}) {
      SCOPED_TRACE(batch);
      const Evaluation result = run(split_records(batch, scores) + layers);
      ASSERT_EQ(result.outputs.size(), values.size());
      for (size_t i = 0; i < values.size(); ++i) {
        EXPECT_EQ(result.outputs[i].name, values[i].first);
        expect_equal(result.outputs[i].value, values[i].second, values[i].first);
      }
      ASSERT_EQ(result.tables.size(), cells.empty() ? 0u : 1u);
      if (cells.empty()) continue;
      ASSERT_EQ(result.tables[0].cells.size(), cells.size());
      for (size_t i = 0; i < cells.size(); ++i)
        expect_equal(result.tables[0].cells[i], cells[i], "cell " + std::to_string(i));
    }
  }

  static void expect_equal(double actual, double expected, const std::string& name) {
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(actual)) << name << " is " << actual;
    } else {
      EXPECT_NEAR(actual, expected, 1e-6 * std::max(1.0, std::abs(expected))) << name;
    }
  }

  const TempFolder folder_;
  double counted_ = 0;  // the sum of the tops of the last run
};

std::string metric(const std::string& type, const std::string& fields = "") {
  return "layer { name: 'm' type: '" + type + "' bottom: 'x' bottom: 'y' " + fields + " }";
}

// A layer that takes the scores, moved into the range of probabilities, as they are.
std::string numbers(const std::string& type, const std::string& fields = "") {
  return "layer { name: 'p' type: 'Power' bottom: 'x' top: 'p' power_param { scale: 0.0625 shift: 0.5 } }"
         "layer { name: 'm' type: '" +
         type + "' bottom: 'p' bottom: 'y' metric_param { input: PROBABILITIES " + fields + " } }";
}

const std::string kIgnored = "metric_param { ignore_label: 2 }";

TEST_F(EvaluateMetrics, ConfusionMatrix) {
  write_scores(6);
  expect(6, metric("ConfusionMatrix"), {{"m.accuracy", 0.130434783}});
  const std::vector<ConfusionMatrix> matrices = run(split_records(4, 6) + metric("ConfusionMatrix")).confusions;
  ASSERT_EQ(matrices.size(), 1u);
  EXPECT_EQ(matrices[0].metric, "m");
  EXPECT_EQ(matrices[0].classes, 6);
  EXPECT_EQ(matrices[0].counts, (std::vector<int64_t>{0, 4, 0, 0, 3, 0, 0, 2, 1, 0, 1, 0, 1, 3, 1, 0, 3, 0,
                                                      1, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_F(EvaluateMetrics, TheTopNamesTheResultAndCountsItems) {
  write_scores(6);
  expect(6, metric("ConfusionMatrix", "top: 'all'"), {{"all.accuracy", 0.130434783}});
  EXPECT_EQ(counted_, kRecords);
  expect(6, metric("ConfusionMatrix", "top: 'few' " + kIgnored), {{"few.accuracy", 0.133333333}});
  EXPECT_EQ(counted_, 15);
}

TEST_F(EvaluateMetrics, PrecisionRecall) {
  write_scores(6);
  expect(6, metric("PrecisionRecall"),
         {{"m.balanced_accuracy", 0.15625},
          {"m.f1", 0.097142857},
          {"m.f1_weighted", 0.119254658},
          {"m.precision", 0.14},
          {"m.precision_weighted", 0.208695652},
          {"m.recall", 0.125},
          {"m.recall_weighted", 0.130434783}},
         {0, 0, 0, 7, 0.2, 0.5, 0.285714286, 4, 0.5, 0.125, 0.2, 8, NAN, 0, 0, 4, 0, NAN, 0, 0, NAN, NAN, NAN, 0});
  expect(6, metric("PrecisionRecall", kIgnored),
         {{"m.balanced_accuracy", 0.166666667},
          {"m.f1", 0.072727273},
          {"m.f1_weighted", 0.096969697},
          {"m.precision", 0.057142857},
          {"m.precision_weighted", 0.076190476},
          {"m.recall", 0.1},
          {"m.recall_weighted", 0.133333333}},
         {0, 0, 0, 7, 0.285714286, 0.5, 0.363636364, 4, 0, NAN, 0, 0, NAN, 0, 0, 4, 0, NAN, 0, 0, NAN, NAN, NAN, 0});
}

TEST_F(EvaluateMetrics, RocAuc) {
  write_scores(6);
  expect(6, metric("RocAuc"), {{"m", 0.466192826}}, {0.379464286, 0.592105263, 0.445833333, 0.447368421, NAN, NAN});
  expect(6, metric("RocAuc", kIgnored), {{"m", 0.458333333}}, {0.375, 0.625, NAN, 0.375, NAN, NAN});
  expect(6, numbers("RocAuc"), {{"m", 0.488964599}}, {0.321428571, 0.618421053, 0.529166667, 0.486842105, NAN, NAN});
}

TEST_F(EvaluateMetrics, AveragePrecision) {
  write_scores(6);
  expect(6, metric("AveragePrecision"), {{"m", 0.285633695}},
         {0.27990374, 0.238247863, 0.443459976, 0.180923203, NAN, NAN});
  expect(6, numbers("AveragePrecision", "ignore_label: 2"), {{"m", 0.341061716}},
         {0.398185148, 0.391666667, NAN, 0.233333333, NAN, NAN});
}

TEST_F(EvaluateMetrics, RankingOfTwoClasses) {
  write([](int i) { return Row{score_of(i, 0), score_of(i, 1), static_cast<float>(label_of(i) >= 2)}; });
  expect(2, metric("RocAuc"), {{"m", 0.397727273}}, {0.397727273, 0.397727273});
  expect(2, metric("AveragePrecision"), {{"m", 0.49446987}}, {0.421348941, 0.49446987});
  // The softmax of these is 0 or 1 in floats.
  const std::string larger = "layer { name: 'p' type: 'Power' bottom: 'x' top: 'large' power_param { scale: 50 } }";
  expect(2, larger + "layer { name: 'm' type: 'RocAuc' bottom: 'large' bottom: 'y' }", {{"m", 0.397727273}},
         {0.397727273, 0.397727273});
}

TEST_F(EvaluateMetrics, RankingByOneColumn) {
  write([](int i) { return Row{score_of(i, 1), static_cast<float>(label_of(i) >= 2)}; });
  expect(1, metric("RocAuc"), {{"m", 0.428030303}});
  expect(1, metric("AveragePrecision"), {{"m", 0.575713135}});
}

TEST_F(EvaluateMetrics, CalibrationError) {
  write_scores(6);
  expect(6, metric("CalibrationError"), {{"m", 0.484098451}, {"m.max", 0.819633186}});
  expect(6, metric("CalibrationError", kIgnored + " calibration_error_param { bins: 5 }"),
         {{"m", 0.436540689}, {"m.max", 0.838059068}});
  const std::string softmax =
      "layer { name: 's' type: 'Softmax' bottom: 'x' top: 'p' }"
      "layer { name: 'm' type: 'CalibrationError' bottom: 'p' bottom: 'y' metric_param { input: PROBABILITIES } }";
  expect(6, softmax, {{"m", 0.484098451}, {"m.max", 0.819633186}});
}

// 0.2 and 0.4 are the upper ends of the first two of five bins: errors of 0.2 for 11 items and 0.4 for 12.
TEST_F(EvaluateMetrics, ABinHasItsUpperEnd) {
  write([](int i) {
    const float p = i < 11 ? 0.2f : 0.4f;
    return Row{p, 0.1f, 0.15f, 0.15f, 0.05f, 0.55f - p - (i < 11 ? 0.2f : 0), i < 11 ? 0.2f : 0, 1};
  });
  expect(7, metric("CalibrationError", "calibration_error_param { bins: 5 } metric_param { input: PROBABILITIES }"),
         {{"m", (0.2 * 11 + 0.4 * 12) / 23}, {"m.max", 0.4}});
}

// 3 classes and 4 pixels.
void add_pixels(int i, Row* row) {
  for (int c = 0; c < 3; ++c) {
    for (int j = 0; j < 4; ++j) row->push_back(score_of(i * 4 + j, c));
  }
}
Row pixels_of(int i) {
  Row row;
  add_pixels(i, &row);
  for (int j = 0; j < 4; ++j) row.push_back(static_cast<float>(label_of(i * 4 + j)));
  return row;
}

TEST_F(EvaluateMetrics, SegmentationAccuracy) {
  write(pixels_of);
  const std::string image =
      "layer { name: 'image' type: 'Reshape' bottom: 'x' top: 'image' reshape_param { shape { dim: 0 dim: 3 dim: 2 "
      "dim: "
      "2 } } }"
      "layer { name: 'mask' type: 'Reshape' bottom: 'y' top: 'mask' reshape_param { shape { dim: 0 dim: 2 dim: 2 } } }"
      "layer { name: 's' type: 'SegmentationAccuracy' bottom: 'image' bottom: 'mask' metric_param { ignore_label: 3 } "
      "}";
  expect(12, image,
         {{"s.frequency_weighted_iou", 0.159672773},
          {"s.mean_accuracy", 0.328673835},
          {"s.mean_iou", 0.162824129},
          {"s.pixel_accuracy", 0.298701299}},
         {0.057142857, 0.066666667, 0.186046512, 0.5, 0.245283019, 0.419354839});
}

TEST_F(EvaluateMetrics, PerplexityAlongAnotherAxis) {
  write(pixels_of);
  const std::string sequence =
      "layer { name: 'r' type: 'Reshape' bottom: 'x' top: 'r' reshape_param { shape { dim: 0 dim: 3 dim: 4 } } }"
      "layer { name: 'p' type: 'Permute' bottom: 'r' top: 'steps' permute_param { order: 0 order: 2 order: 1 } }";
  expect(12,
         sequence +
             "layer { name: 'm' type: 'Perplexity' bottom: 'steps' bottom: 'y' metric_param { axis: -1 "
             "ignore_label: 3 } }",
         {{"m", 4.871654824}});
}

TEST_F(EvaluateMetrics, Perplexity) {
  write_scores(6);
  expect(6, metric("Perplexity"), {{"m", 13.970200541}});
  const std::string softmax =
      "layer { name: 's' type: 'Softmax' bottom: 'x' top: 'p' }"
      "layer { name: 'm' type: 'Perplexity' bottom: 'p' bottom: 'y' metric_param { input: PROBABILITIES ignore_label: "
      "2 "
      "} }";
  expect(6, softmax, {{"m", 21.122289663}});
}

// Large numbers with small differences.
TEST_F(EvaluateMetrics, RegressionErrors) {
  write([](int i) {
    Row row;
    for (int c = 0; c < 3; ++c) row.push_back(1000 + score_of(i, c));
    for (int c = 0; c < 3; ++c)
      row.push_back(row[static_cast<size_t>(c)] + static_cast<float>((i * 7 + c * 5) % 11 - 5) / 8);
    return row;
  });
  expect(3, metric("RegressionErrors"), {{"m.mae", 0.344202899}, {"m.r2", 0.894204999}, {"m.rmse", 0.40097255}});
}

// r2_score is 1 for the first output, and 0 for the second.
TEST_F(EvaluateMetrics, RegressionOfEqualTargets) {
  write([](int i) { return Row{3, static_cast<float>(i), 3, 0.1f}; });
  const Evaluation result = run(split_records(4, 2) + metric("RegressionErrors"));
  ASSERT_EQ(result.outputs.size(), 3u);
  EXPECT_EQ(result.outputs[1].value, 0.5);
}

const char* const kScoreMetrics[] = {"ConfusionMatrix",  "PrecisionRecall",      "RocAuc",    "AveragePrecision",
                                     "CalibrationError", "SegmentationAccuracy", "Perplexity"};

TEST_F(EvaluateMetrics, ResultsAreNaNIfNoItemCounts) {
  write([](int i) { return Row{score_of(i, 0), score_of(i, 1), 9}; });
  for (const char* type : kScoreMetrics) {
    const Evaluation result = run(split_records(4, 2) + metric(type, "top: 'm' metric_param { ignore_label: 9 }"));
    EXPECT_FALSE(result.outputs.empty()) << type;
    for (const OutputValue& output : result.outputs)
      EXPECT_TRUE(std::isnan(output.value)) << type << " " << output.name;
    EXPECT_EQ(counted_, 0) << type;
  }
}

// 15 of 23 labels are not 2.
TEST_F(EvaluateMetrics, ResultsSayHowManyItemsCount) {
  write_scores(6);
  for (const char* type : kScoreMetrics) {
    const Evaluation all = run(split_records(4, 6) + metric(type)),
                     some = run(split_records(4, 6) + metric(type, kIgnored));
    for (const OutputValue& output : all.outputs) EXPECT_EQ(output.counted, kRecords) << type << " " << output.name;
    for (const OutputValue& output : some.outputs) EXPECT_EQ(output.counted, 15) << type << " " << output.name;
  }
  write([](int i) { return Row{1, 2, 3, 4, 5, static_cast<float>(i)}; });
  for (const OutputValue& output : run(split_records(4, 3) + metric("RegressionErrors")).outputs)
    EXPECT_EQ(output.counted, 3 * kRecords) << output.name;
}

TEST_F(EvaluateMetrics, ProbabilitiesAreChecked) {
  const auto refusal = [&](const char* type, const std::string& fields, const Row& scores, float bad) {
    write([&](int i) {
      Row row = scores;
      if (i == 20) row[0] = bad;
      row.push_back(static_cast<float>(i == 20 ? 0 : 1));
      return row;
    });
    try {
      run(split_records(4, static_cast<int>(scores.size())) +
          metric(type, "metric_param { input: PROBABILITIES " + fields + "}"));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kConfiguration);
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string remedy = "Take the output of a Softmax layer, or leave input at SCORES";
  for (const char* type : {"CalibrationError", "Perplexity"}) {
    const std::string of = std::string("\"x\", bottom of layer \"m\" (") + type + "), is ";
    EXPECT_EQ(refusal(type, "", {0.25f, 0.75f}, 1.5f),
              of + "1.5, but metric_param.input is PROBABILITIES, which are from 0 to 1. " + remedy);
    EXPECT_EQ(refusal(type, "", {0.25f, 0.75f}, -2),
              of + "-2, but metric_param.input is PROBABILITIES, which are from 0 to 1. " + remedy);
    EXPECT_EQ(refusal(type, "", {0.25f, 0.75f}, 0.75f),
              "the sum over the classes of " + of +
                  "1.5, but metric_param.input is PROBABILITIES, which have the sum 1. " + remedy);
    EXPECT_NE(refusal(type, "", {0.25f, 0.75f}, 0).find("is 0.75, but"), std::string::npos);
    EXPECT_EQ(refusal(type, "", {0.25f, 0.75f}, 0.251f), "");
    EXPECT_EQ(refusal(type, "ignore_label: 0", {0.25f, 0.75f}, 9), "");
    EXPECT_EQ(refusal(type, "", {0.25f, 0.75f}, NAN), "");
  }
  for (const char* type : {"RocAuc", "AveragePrecision"}) {
    EXPECT_NE(refusal(type, "", {0.25f, 0.75f}, 1.5f).find("which are from 0 to 1"), std::string::npos);
    EXPECT_NE(refusal(type, "", {0.25f}, -1).find("which are from 0 to 1"), std::string::npos);
    EXPECT_EQ(refusal(type, "", {0.25f, 0.75f}, 0.75f), "");
    EXPECT_EQ(refusal(type, "ignore_label: 0", {0.25f, 0.75f, 0}, 9), "");
  }
}

// One of 23 items has a score that is NaN.
TEST_F(EvaluateMetrics, ScoresThatAreNaN) {
  write([](int i) { return Row{0, i == 5 ? NAN : 1.0f, static_cast<float>(i % 2)}; });
  const auto value = [&](const char* type) { return run(split_records(4, 2) + metric(type)).outputs.at(0).value; };
  EXPECT_TRUE(std::isnan(value("RocAuc")));
  EXPECT_TRUE(std::isnan(value("AveragePrecision")));
  EXPECT_TRUE(std::isnan(value("CalibrationError")));
  EXPECT_TRUE(std::isnan(value("Perplexity")));
  // Wrong predictions: 10 of 23 items, 10 of the 11 of class 1, and none of class 0.
  EXPECT_NEAR(value("ConfusionMatrix"), 10 / 23.0, 1e-9);
  EXPECT_NEAR(value("PrecisionRecall"), 10 / 11.0 / 2, 1e-9);
}

}  // namespace
}  // namespace trainer
