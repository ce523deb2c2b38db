// Tests of whole data sets: each record once, and the results of a single batch of all records.
#include <cmath>

#include "data/small_data.h"
#include "formats/temp_folder.h"
#include "session/evaluate.h"
#include "session/parameters.h"
#include "session/text_session.h"

namespace trainer {
namespace {

constexpr int kRecords = 23, kClasses = 5;

// Label of record i; 4 is ignored by some layers.
int label_of(int i) { return (i * i + i / 3) % kClasses; }
// Score of class c.
double score_of(int i, int c) { return ((i * 29 + c * 53) % 97) / 16.0; }

double cross_entropy(int i) {
  double sum = 0;
  for (int c = 0; c < kClasses; ++c) sum += std::exp(score_of(i, c));
  return std::log(sum) - score_of(i, label_of(i));
}

int predicted(int i) {
  int best = 0;
  for (int c = 1; c < kClasses; ++c) best = score_of(i, c) > score_of(i, best) ? c : best;
  return best;
}

class WholeSet : public testing::Test {
 protected:
  WholeSet() {
    test::Records records;
    for (int i = 0; i < kRecords; ++i) {
      caffe::Datum datum;
      datum.set_channels(kClasses);
      datum.set_height(1);
      datum.set_width(1);
      for (int c = 0; c < kClasses; ++c) datum.add_float_data(static_cast<float>(score_of(i, c)));
      datum.set_label(label_of(i));
      records.push_back({test::key(i), datum.SerializeAsString()});
    }
    test::write_lmdb(folder_ / "lmdb", records);
  }

  std::string data(int batch, const std::string& name = "") const {
    return "layer { name: 'data" + name + "' type: 'Data' top: 'data" + name + "' top: 'label" + name +
           "' data_param { source: '" + (folder_ / "lmdb") + "' backend: LMDB batch_size: " + std::to_string(batch) +
           " } }\n";
  }

  Evaluation run(const std::string& text, int tests = 1, int epochs = 1) {
    TextSession opened(text, caffe::TEST, {true});
    NetSession& session = opened.session;
    session.measure();
    add_parameters(session.lowered(), 1, false, opened.device_session.store);
    Evaluation result;
    for (int i = 0; i < tests; ++i)
      result = evaluate(
          session, {0, epochs}, [](int64_t) { return true; }, [](int64_t, const auto&) {});
    mixing_ = mixing_warning(session.lowered());
    return result;
  }

  // The message of the error.
  std::string refusal(const std::string& text) {
    try {
      run(text);
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  }

  const TempFolder folder_;
  std::string mixing_;
};

double value_of(const Evaluation& result, const std::string& name, size_t element = 0) {
  for (const OutputValue& output : result.outputs) {
    if (output.name == name && element-- == 0) return output.value;
  }
  ADD_FAILURE() << "no output " << name;
  return NAN;
}

constexpr char kLayers[] = R"(
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "loss" }
layer { name: "some" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "some" loss_weight: 0.5
  loss_param { ignore_label: 4 } }
layer { name: "sum" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "sum" loss_weight: 0
  loss_param { normalization: NONE } }
layer { name: "weighted" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "weighted" loss_weight: 0
  loss_param { class_weight: 1 class_weight: 2 class_weight: 0 class_weight: 3 class_weight: 0.5 } }
layer { name: "smooth" type: "SoftmaxWithLoss" bottom: "data" bottom: "label" top: "smooth" loss_weight: 0
  loss_param { class_weight: 1 class_weight: 2 class_weight: 0 class_weight: 3 class_weight: 0.5 label_smoothing: 0.1 } }
layer { name: "accuracy" type: "Accuracy" bottom: "data" bottom: "label" top: "accuracy" top: "top2" top: "classes"
  accuracy_param { top_k: 1 top_k: 2 ignore_label: 4 } }
layer { name: "total" type: "Reduction" bottom: "data" top: "total" }
layer { name: "twice" type: "Power" bottom: "data" top: "twice" power_param { scale: 2 } }
)";

TEST_F(WholeSet, ResultsAreThoseOfOneBatch) {
  double smooth = 0;
  double loss = 0, some = 0, counted = 0, weighted = 0, weights = 0, correct = 0, top2 = 0, total = 0;
  double of_class[kClasses] = {}, correct_of[kClasses] = {}, twice[kClasses] = {};
  int64_t matrix[kClasses][kClasses] = {};
  const double weight[] = {1, 2, 0, 3, 0.5};
  for (int i = 0; i < kRecords; ++i) {
    const int label = label_of(i);
    loss += cross_entropy(i);
    weighted += weight[label] * cross_entropy(i);
    weights += weight[label];
    for (int c = 0; c < kClasses; ++c) {
      const double surprise = cross_entropy(i) + score_of(i, label) - score_of(i, c);
      smooth += weight[c] * ((c == label ? 0.9 : 0) + 0.1 / kClasses) * surprise;
      total += score_of(i, c);
      twice[c] += 2 * score_of(i, c);
    }
    if (label == 4) continue;
    ++matrix[label][predicted(i)];
    some += cross_entropy(i);
    counted += 1;
    of_class[label] += 1;
    correct_of[label] += predicted(i) == label;
    correct += predicted(i) == label;
    int better = 0;
    for (int c = 0; c < kClasses; ++c) better += score_of(i, c) > score_of(i, label);
    top2 += better < 2;
  }
  for (const int batch : {1, 4, 5, 22, 23, 40}) {
    const Evaluation result = run(data(batch) + kLayers, 2);
    SCOPED_TRACE(batch);
    EXPECT_EQ(result.records, kRecords);
    EXPECT_NEAR(value_of(result, "loss"), loss / kRecords, 1e-6);
    EXPECT_NEAR(value_of(result, "some"), some / counted, 1e-6);
    EXPECT_NEAR(result.loss, loss / kRecords + 0.5 * some / counted, 2e-6);
    EXPECT_NEAR(value_of(result, "sum"), loss, 1e-6 * loss);
    EXPECT_NEAR(value_of(result, "weighted"), weighted / weights, 2e-6);
    EXPECT_NEAR(value_of(result, "smooth"), smooth / weights, 2e-6);
    EXPECT_NEAR(value_of(result, "accuracy"), correct / counted, 1e-6);
    EXPECT_NEAR(value_of(result, "top2"), top2 / counted, 1e-6);
    EXPECT_NEAR(value_of(result, "total"), total, 1e-6 * total);
    for (size_t c = 0; c < kClasses; ++c) {
      EXPECT_NEAR(value_of(result, "classes", c), of_class[c] > 0 ? correct_of[c] / of_class[c] : 0, 1e-6);
      EXPECT_NEAR(value_of(result, "twice", c), twice[c] / kRecords, 1e-5);
    }
    ASSERT_EQ(result.confusions.size(), 1u);
    EXPECT_EQ(result.confusions[0].metric, "accuracy");
    for (int64_t label = 0; label < kClasses; ++label) {
      for (int64_t p = 0; p < kClasses; ++p)
        EXPECT_EQ(result.confusions[0].count(label, p), matrix[label][p]) << label << " " << p;
    }
    const double p = correct / counted;
    size_t classes = 0;
    for (const OutputValue& output : result.outputs) {
      const bool share = output.name == "accuracy" || output.name == "top2";
      EXPECT_EQ(output.interval > 0, share) << output.name;
      const bool counts = share || output.name == "some";
      EXPECT_EQ(output.counted.value_or(-1), counts                     ? std::lround(counted)
                                             : output.name == "classes" ? of_class[classes++]
                                                                        : -1)
          << output.name;
      if (output.name != "accuracy") continue;
      const double z = 1.959964, n = counted, middle = (p + z * z / (2 * n)) / (1 + z * z / n);
      // The ends of Wilson's interval solve (q - p)^2 = z^2 q (1 - q) / n.
      const double end = middle + output.interval;
      EXPECT_NEAR((end - p) * (end - p), z * z * end * (1 - end) / n, 1e-6);
    }
  }
  EXPECT_EQ(mixing_, "");
}

TEST_F(WholeSet, SeveralEpochsHaveTheResultsOfOne) {
  const Evaluation once = run(data(4) + kLayers), twice = run(data(4) + kLayers, 1, 2);
  EXPECT_EQ(twice.records, kRecords);
  ASSERT_EQ(twice.outputs.size(), once.outputs.size());
  for (size_t i = 0; i < once.outputs.size(); ++i) {
    EXPECT_NEAR(twice.outputs[i].value, once.outputs[i].value, 1e-6 * std::abs(once.outputs[i].value));
    EXPECT_NEAR(twice.outputs[i].interval, once.outputs[i].interval, 1e-6);
    EXPECT_EQ(twice.outputs[i].counted, once.outputs[i].counted);
  }
}

TEST_F(WholeSet, LabelsOfPixelsHaveNoInterval) {
  const std::string pixels =
      "layer { name: 'view' type: 'Reshape' bottom: 'label' top: 'pixels' reshape_param { shape { dim: -1 dim: 1 dim: "
      "1 } } }"
      "layer { name: 'many' type: 'Tile' bottom: 'data' top: 'many' tile_param { axis: 3 tiles: 3 } }"
      "layer { name: 'labels' type: 'Tile' bottom: 'pixels' top: 'labels' tile_param { axis: 2 tiles: 3 } }"
      "layer { name: 'accuracy' type: 'Accuracy' bottom: 'many' bottom: 'labels' top: 'accuracy' }";
  const Evaluation result = run(data(5) + pixels);
  ASSERT_EQ(result.outputs.size(), 1u);
  EXPECT_EQ(result.outputs[0].interval, 0);
  int64_t sum = 0;
  for (int64_t count : result.confusions.at(0).counts) sum += count;
  EXPECT_EQ(sum, 3 * kRecords);
}

TEST_F(WholeSet, NamesLayersThatMixRecords) {
  run(data(5) +
      "layer { name: 'bn' type: 'BatchNorm' bottom: 'data' top: 'y' batch_norm_param { use_global_stats: false } }"
      "layer { name: 'none' type: 'Silence' bottom: 'label' }");
  EXPECT_EQ(mixing_,
            "results in phase TEST depend on batch_size: layer \"bn\" (BatchNorm): use_global_stats is false: it "
            "normalizes with the statistics of the batch");
}

// A layer whose marks of sequences are `scale` times the first score, plus `shift`.
std::string lstm(const std::string& scale, const std::string& shift) {
  return "layer { name: 'x' type: 'Reshape' bottom: 'data' top: 'x' reshape_param { shape { dim: -1 dim: 1 dim: 5 } } }"
         "layer { name: 'first' type: 'Slice' bottom: 'data' top: 'first' top: 'rest' slice_param { slice_point: 1 } }"
         "layer { name: 'mark' type: 'Power' bottom: 'first' top: 'mark' power_param { scale: " +
         scale + " shift: " + shift +
         " } }"
         "layer { name: 'cont' type: 'Reshape' bottom: 'mark' top: 'cont' reshape_param { shape { dim: -1 dim: 1 } } }"
         "layer { name: 'lstm' type: 'LSTM' bottom: 'x' bottom: 'cont' top: 'h' recurrent_param { num_output: 2 } }"
         "layer { name: 'none' type: 'Silence' bottom: 'label' bottom: 'rest' }";
}

TEST_F(WholeSet, NamesRecurrentLayersThatCarryAState) {
  const std::string carries =
      "results in phase TEST depend on batch_size: layer \"lstm\" (LSTM): it carries a state from batch to batch";
  EXPECT_EQ(run(data(5) + lstm("0", "1")).mixing, carries);
  EXPECT_EQ(mixing_, "");
  EXPECT_EQ(run(data(5) + lstm("0", "0")).mixing, "");
  EXPECT_EQ(run(data(40) + lstm("0", "1")).mixing, "");
  // The first score of record 5 is not 0; that of record 0 is.
  EXPECT_EQ(score_of(0, 0), 0);
  EXPECT_NE(score_of(5, 0), 0);
  EXPECT_EQ(run(data(5) + lstm("1", "0")).mixing, carries);
}

TEST_F(WholeSet, RefusesNetsWithoutAnEnd) {
  EXPECT_NE(refusal("layer { name: 'd' type: 'DummyData' top: 'x' dummy_data_param { shape { dim: 2 } } }")
                .find("reads no data set with an end"),
            std::string::npos);
  const std::string both = refusal(data(5) + data(4, "2"));
  EXPECT_NE(both.find("layer \"data\" (Data) has 23 records in batches of 5, but layer \"data2\" (Data) has 23 records "
                      "in batches of 4"),
            std::string::npos)
      << both;
}

TEST_F(WholeSet, RefusesNetsThatAcceptOnlyWholeBatches) {
  const std::string fixed =
      "layer { name: 'other' type: 'DummyData' top: 'other' dummy_data_param { shape { dim: 5 dim: 5 dim: 1 dim: 1 } } "
      "}"
      "layer { name: 'add' type: 'Eltwise' bottom: 'data' bottom: 'other' top: 'y' }"
      "layer { name: 'none' type: 'Silence' bottom: 'label' }";
  const std::string text = refusal(data(5) + fixed);
  EXPECT_NE(text.find("the last batch of the data set has 3 of 5 records"), std::string::npos) << text;
  EXPECT_NE(text.find("batch_size that divides the 23 records"), std::string::npos) << text;
}

}  // namespace
}  // namespace trainer
