// balance_classes of SoftmaxWithLoss. The weights are those of scikit-learn's compute_class_weight("balanced"); the
// losses are from cross_entropy of PyTorch 2.15 in double precision, with these weights.
#include "data/small_data.h"
#include "session/text_session.h"

namespace trainer {
namespace {

// 20 records of class 0, 8 of class 1 and 2 of class 2, in one batch; the values of a record are its scores.
class BalancedClasses : public testing::Test {
 protected:
  // The loss of the batch.
  float loss(int classes, const std::string& loss_param, caffe::Phase phase = caffe::TRAIN) {
    const std::string database = folder_ / std::to_string(classes);
    if (!std::filesystem::exists(database)) write(database, classes);
    const std::string text =
        "layer { name: 'data' type: 'Data' top: 'scores' top: 'label' transform_param { scale: "
        "0.01 } data_param { source: '" +
        database +
        "' backend: LMDB batch_size: 30 } }\n"
        "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'scores' bottom: 'label' top: "
        "'loss' loss_param { " +
        loss_param + " } }";
    TextSession opened(text, phase);
    NetSession& session = opened.session;
    warnings_ = session.warnings();
    session.run_next(ProgramKind::kForward);
    return session.loss();
  }

  std::string warnings_;

 private:
  static void write(const std::string& database, int classes) {
    test::Records records;
    for (int i = 0; i < 30; ++i)
      records.emplace_back(test::key(i), test::raw_datum(i, classes, 1, 1, i < 20 ? 0 : i < 28 ? 1 : 2));
    test::write_lmdb(database, records);
  }

  const test::TemporaryFolder folder_;
};

TEST_F(BalancedClasses, HaveWeightsOfTheData) {
  EXPECT_NEAR(loss(3, "balance_classes: true"), 1.2720408696545362, 1e-6);
  EXPECT_EQ(warnings_, "");
  EXPECT_EQ(loss(3, "balance_classes: true label_smoothing: 0.1"),
            loss(3, "class_weight: [0.5, 1.25, 5] label_smoothing: 0.1"));
}

TEST_F(BalancedClasses, DoNotCountIgnoredLabels) {
  EXPECT_NEAR(loss(3, "balance_classes: true ignore_label: 1"), 1.2496035059867843, 1e-6);
  EXPECT_EQ(warnings_, "");
}

TEST_F(BalancedClasses, WithoutRecordsHaveTheWeightZero) {
  EXPECT_NEAR(loss(4, "balance_classes: true"), 1.5456257617339935, 1e-6);
  test::expect_contains(warnings_, {"the training data have no label of 1 of 4 classes (3), whose weight is 0"});
}

TEST_F(BalancedClasses, AreNotWeighedInTests) {
  EXPECT_NEAR(loss(3, "balance_classes: true", caffe::TEST), 1.3076821061780646, 1e-6);
}

}  // namespace
}  // namespace trainer
