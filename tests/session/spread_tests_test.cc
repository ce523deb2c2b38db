// Tests that several processes run together: the results, states and positions of one process, bit for bit.
#include <algorithm>
#include <atomic>
#include <bit>
#include <functional>
#include <map>

#include "captured_log.h"
#include "data/small_data.h"
#include "formats/temp_folder.h"
#include "session/evaluate.h"
#include "session/parameters.h"
#include "session/text_session.h"
#include "support/thread_group.h"

namespace trainer {
namespace {

using Outputs = std::vector<std::vector<float>>;

constexpr int kRecords = 23, kClasses = 5;

// What a process knows after its tests.
struct Seen {
  std::vector<Evaluation> tests;
  std::vector<Outputs> batches;  // as after_batch received them
  uint64_t passes = 0;
  std::map<std::string, Cursor> cursors;
  std::map<std::string, std::vector<float>> states;
  int64_t own_batches = 0;
  int gathers = 0;
};

bool same_bits(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }

void expect_equal(const Evaluation& a, const Evaluation& b) {
  EXPECT_EQ(a.complete, b.complete);
  EXPECT_EQ(a.records, b.records);
  EXPECT_TRUE(same_bits(a.loss, b.loss)) << a.loss << " " << b.loss;
  ASSERT_EQ(a.outputs.size(), b.outputs.size());
  for (size_t i = 0; i < a.outputs.size(); ++i) {
    EXPECT_EQ(a.outputs[i].name, b.outputs[i].name);
    EXPECT_TRUE(same_bits(a.outputs[i].value, b.outputs[i].value)) << a.outputs[i].name;
    EXPECT_TRUE(same_bits(a.outputs[i].interval, b.outputs[i].interval)) << a.outputs[i].name;
  }
  ASSERT_EQ(a.tables.size(), b.tables.size());
  for (size_t i = 0; i < a.tables.size(); ++i) {
    ASSERT_EQ(a.tables[i].cells.size(), b.tables[i].cells.size());
    for (size_t c = 0; c < a.tables[i].cells.size(); ++c)
      EXPECT_TRUE(same_bits(a.tables[i].cells[c], b.tables[i].cells[c]));
  }
  ASSERT_EQ(a.confusions.size(), b.confusions.size());
  for (size_t i = 0; i < a.confusions.size(); ++i) EXPECT_EQ(a.confusions[i].counts, b.confusions[i].counts);
}

void expect_equal(const Seen& a, const Seen& b) {
  ASSERT_EQ(a.tests.size(), b.tests.size());
  for (size_t i = 0; i < a.tests.size(); ++i) expect_equal(a.tests[i], b.tests[i]);
  EXPECT_EQ(a.batches, b.batches);
  EXPECT_EQ(a.passes, b.passes);
  ASSERT_EQ(a.cursors.size(), b.cursors.size());
  for (const auto& [layer, cursor] : a.cursors) {
    EXPECT_EQ(cursor.records, b.cursors.at(layer).records) << layer;
    EXPECT_EQ(cursor.epoch, b.cursors.at(layer).epoch) << layer;
  }
  EXPECT_EQ(a.states, b.states);
}

class SpreadTests : public testing::Test {
 protected:
  SpreadTests() { write("lmdb"); }

  // Record i has a score for each class and, as the last channel, its label. `bad`: a record that cannot be read.
  void write(const std::string& name, int count = kRecords, int bad = -1) {
    test::Records records;
    for (int i = 0; i < count; ++i) {
      caffe::Datum datum;
      datum.set_channels(kClasses + 1);
      datum.set_height(1);
      datum.set_width(1);
      for (int c = 0; c < kClasses; ++c) datum.add_float_data(static_cast<float>((i * 29 + c * 53) % 97) / 15.7f);
      datum.add_float_data(static_cast<float>((i * i + i / 3) % 4));
      datum.set_label((i * i + i / 3) % 4);
      records.push_back({test::key(i), i == bad ? "no record" : datum.SerializeAsString()});
    }
    test::write_lmdb(folder_ / name, records);
  }

  std::string data(int batch, const std::string& name = "lmdb") const {
    return "layer { name: 'data' type: 'Data' top: 'record' data_param { source: '" + (folder_ / name) +
           "' backend: LMDB batch_size: " + std::to_string(batch) +
           " } } layer { name: 'split' type: 'Slice' bottom: 'record' top: 'x' top: 'y' slice_param { slice_point: " +
           std::to_string(kClasses) + " } }\n";
  }

  // Runs the tests one after the other. `text` gives the net of each rank.
  static Seen run(
      const std::function<std::string(int)>& text, const std::vector<TestLength>& lengths, Group* group,
      const std::function<bool(int64_t)>& before = [](int64_t) { return true; }, Seen* kept = nullptr) {
    DataReading reading;
    reading.whole_epochs = lengths.front().epochs > 0;
    TextSession opened(text(group == nullptr ? 0 : group->rank()), caffe::TEST, reading, test_device(), group);
    NetSession& net = opened.session;
    net.measure();
    add_parameters(net.lowered(), 1, false, opened.device_session.store);
    Seen local;
    Seen& seen = kept == nullptr ? local : *kept;
    for (const TestLength& length : lengths) {
      seen.tests.push_back(evaluate(
          net, length,
          [&](int64_t batch) {
            ++seen.own_batches;
            return before(batch);
          },
          [&](int64_t, const Outputs& outputs) { seen.batches.push_back(outputs); }));
    }
    const NetPosition position = net.position();
    seen.passes = position.passes;
    seen.cursors = position.cursors;
    for (const auto& [name, state] : position.carried) seen.states[name] = state.values;
    for (const ParameterInfo& parameter : net.lowered().parameters)
      seen.states[parameter.state] = opened.device_session.store.read(parameter.state);
    return seen;
  }

  // Of each rank.
  static std::vector<Seen> run_together(int ranks, const std::string& text, const std::vector<TestLength>& lengths) {
    std::vector<Seen> seen(static_cast<size_t>(ranks));
    for (const auto& thrown : test::run_ranks(ranks, [&](test::ThreadGroup& group) {
           Seen& own = seen[static_cast<size_t>(group.rank())];
           own = run([&](int) { return text; }, lengths, &group);
           own.gathers = group.gathers;
         }))
      EXPECT_EQ(test::message_of(thrown), "");
    return seen;
  }

  // Expects what one process sees, on each rank of groups of several sizes. The processes share the batches, or each
  // runs all of them.
  void expect_equal_results(const std::string& text, const std::vector<TestLength>& lengths, bool shared = true) {
    const Seen alone = run([&](int) { return text; }, lengths, nullptr);
    for (const int ranks : {1, 2, 3}) {
      SCOPED_TRACE(ranks);
      int64_t own = 0;
      for (const Seen& seen : run_together(ranks, text, lengths)) {
        expect_equal(seen, alone);
        own += seen.own_batches;
      }
      EXPECT_EQ(own, shared ? alone.own_batches : alone.own_batches * ranks);
    }
  }

  const TempFolder folder_;
};

constexpr char kLosses[] = R"(
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "loss" }
layer { name: "some" type: "SoftmaxWithLoss" bottom: "x" bottom: "y" top: "some" loss_weight: 0.3
  loss_param { ignore_label: 2 } }
layer { name: "accuracy" type: "Accuracy" bottom: "x" bottom: "y" top: "accuracy" top: "classes" }
layer { name: "twice" type: "Power" bottom: "x" top: "twice" power_param { scale: 1.7 } }
)";

TEST_F(SpreadTests, NumbersOfBatchesHaveTheResultsOfOneProcess) {
  for (const int batches : {1, 2, 5, 6, 12}) {
    SCOPED_TRACE(batches);
    expect_equal_results(data(4) + kLosses, {{batches, 0}, {batches, 0}, {batches + 1, 0}});
  }
}

// With 22, the last batch has one record, and each process may run it first.
TEST_F(SpreadTests, WholeEpochsHaveTheResultsOfOneProcess) {
  for (const int batch : {1, 4, 22, 23, 40}) {
    SCOPED_TRACE(batch);
    expect_equal_results(data(batch) + kLosses, {{0, 1}, {0, 1}, {0, 2}});
  }
}

// The expected mean is that of a formula, so that one process and several cannot be wrong together.
TEST_F(SpreadTests, TheMeanIsThatOfAllRecords) {
  double sum = 0;
  for (int i = 0; i < kRecords; ++i) sum += static_cast<float>((i * 29) % 97) / 15.7f;
  const std::string first =
      "layer { name: 'none' type: 'Silence' bottom: 'y' } layer { name: 'first' type: 'Slice' bottom: 'x' top: 'first' "
      "top: 'rest' slice_param { slice_point: 1 } } layer { name: 'none2' type: 'Silence' bottom: 'rest' }";
  for (const Seen& seen : run_together(3, data(4) + first, {{0, 1}})) {
    ASSERT_EQ(seen.tests[0].outputs.size(), 1u);
    EXPECT_NEAR(seen.tests[0].outputs[0].value, sum / kRecords, 1e-5);
    EXPECT_EQ(seen.tests[0].records, kRecords);
  }
}

TEST_F(SpreadTests, MetricsHaveTheResultsOfOneProcess) {
  for (const char* type :
       {"ConfusionMatrix", "PrecisionRecall", "RocAuc", "AveragePrecision", "CalibrationError", "Perplexity"}) {
    SCOPED_TRACE(type);
    const std::string metric = "layer { name: 'm' type: '" + std::string(type) +
                               "' bottom: 'x' bottom: 'y' metric_param { ignore_label: 2 } }";
    expect_equal_results(data(4) + metric, {{0, 1}, {0, 1}});
    expect_equal_results(data(4) + metric, {{5, 0}});
  }
  expect_equal_results(data(4) +
                           "layer { name: 'z' type: 'Power' bottom: 'x' top: 'z' power_param { scale: 1.1 } }"
                           "layer { name: 'm' type: 'RegressionErrors' bottom: 'x' bottom: 'z' }"
                           "layer { name: 'none' type: 'Silence' bottom: 'y' }",
                       {{0, 1}});
}

// The states of the layer change in each pass.
TEST_F(SpreadTests, BatchStatisticsAreTheSameOnAllProcesses) {
  const std::string norm =
      "layer { name: 'bn' type: 'BatchNorm' bottom: 'x' top: 'n' batch_norm_param { use_global_stats: false } }"
      "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'n' bottom: 'y' top: 'loss' }";
  const CapturedLog log;
  expect_equal_results(data(4) + norm, {{5, 0}, {5, 0}}, false);
  const std::string line = "each process tests all batches, because layer \"bn\" (BatchNorm) changes a state";
  EXPECT_NE(log.text().find(line), std::string::npos) << log.text();
}

TEST_F(SpreadTests, GlobalStatisticsDoNotKeepBatchesTogether) {
  expect_equal_results(data(4) +
                           "layer { name: 'bn' type: 'BatchNorm' bottom: 'x' top: 'n' }"
                           "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'n' bottom: 'y' top: 'loss' }",
                       {{5, 0}, {5, 0}});
}

TEST_F(SpreadTests, CarriedStatesAreTheSameOnAllProcesses) {
  const std::string lstm = R"(
layer { name: "none" type: "Silence" bottom: "y" }
layer { name: "steps" type: "Reshape" bottom: "x" top: "steps" reshape_param { shape { dim: 2 dim: 2 dim: 5 } } }
layer { name: "cont" type: "DummyData" top: "cont"
  dummy_data_param { shape { dim: 2 dim: 2 } data_filler { type: "constant" value: 1 } } }
layer { name: "lstm" type: "LSTM" bottom: "steps" bottom: "cont" top: "h"
  recurrent_param { num_output: 3 weight_filler { type: "xavier" } } })";
  expect_equal_results(data(4) + lstm, {{5, 0}, {4, 0}}, false);
}

// Each pass draws different numbers: those of its batch.
TEST_F(SpreadTests, RandomNumbersAreThoseOfTheBatch) {
  const std::string random =
      "layer { name: 'r' type: 'DummyData' top: 'r' dummy_data_param { shape { dim: 3 } data_filler { type: 'gaussian' "
      "} } }";
  expect_equal_results(random, {{5, 0}, {4, 0}});
  const Seen seen = run_together(2, random, {{5, 0}})[1];
  ASSERT_EQ(seen.batches.size(), 5u);
  for (size_t i = 1; i < 5; ++i) EXPECT_NE(seen.batches[i], seen.batches[0]);
}

TEST_F(SpreadTests, LayersThatWriteFilesWriteAllBatchesOnce) {
  const std::string out =
      "layer { name: 'out' type: 'HDF5Output' bottom: 'x' bottom: 'y' hdf5_output_param { "
      "file_name: '" +
      (folder_ / "out.h5") + "' } }";
  const CapturedLog log;
  expect_equal_results(data(4) + out, {{5, 0}}, false);
  EXPECT_NE(log.text().find("because layer \"out\" (HDF5Output) writes a file"), std::string::npos) << log.text();
}

TEST_F(SpreadTests, ManyBatchesAreExchangedTogether) {
  const std::vector<Seen> seen = run_together(2, data(1) + kLosses, {{400, 0}});
  EXPECT_LT(seen[0].gathers, 60);
  EXPECT_EQ(seen[0].own_batches, 200);
  EXPECT_EQ(seen[1].own_batches, 200);
}

TEST_F(SpreadTests, ARequestToStopStopsAllAfterTheSameBatch) {
  for (const int asking : {0, 1, 2}) {
    SCOPED_TRACE(asking);
    std::vector<Seen> seen(3);
    const std::string text = data(2) + kLosses;
    const auto thrown = test::run_ranks(3, [&](test::ThreadGroup& group) {
      Seen& own = seen[static_cast<size_t>(group.rank())];
      const auto before = [&](int64_t batch) { return group.rank() != asking || batch < 60; };
      run([&](int) { return text; }, {{1000, 0}}, &group, before, &own);
    });
    for (size_t rank = 0; rank < 3; ++rank) {
      EXPECT_EQ(test::message_of(thrown[rank]), "");
      EXPECT_FALSE(seen[rank].tests.at(0).complete);
      EXPECT_EQ(seen[rank].batches, seen[0].batches);
      EXPECT_EQ(seen[rank].passes, seen[0].passes);
      EXPECT_EQ(seen[rank].cursors.at("data").records, seen[0].cursors.at("data").records);
    }
    EXPECT_GE(seen[0].batches.size(), 60u);
    EXPECT_LT(seen[0].batches.size(), 300u);
  }
}

TEST_F(SpreadTests, ABadRecordOfOneProcessEndsTheTestOfAll) {
  write("bad", kRecords, 13);  // in batch 6, which belongs to process 0 of 2 and of 3
  for (const int ranks : {2, 3}) {
    SCOPED_TRACE(ranks);
    std::vector<Seen> seen(static_cast<size_t>(ranks));
    const std::string text = data(2, "bad") + kLosses;
    const auto thrown = test::run_ranks(ranks, [&](test::ThreadGroup& group) {
      run([&](int) { return text; }, {{11, 0}}, &group, [](int64_t) { return true; },
          &seen[static_cast<size_t>(group.rank())]);
    });
    const std::string own = test::message_of(thrown[0]);
    EXPECT_NE(own.find("record 13"), std::string::npos) << own;
    for (size_t rank = 0; rank < seen.size(); ++rank) {
      ASSERT_TRUE(thrown[rank]);
      try {
        std::rethrow_exception(thrown[rank]);
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), rank == 0 ? ExitCode::kData : ExitCode::kRankFailed);
      }
      EXPECT_EQ(test::message_of(thrown[rank]), rank == 0 ? own : "rank 0 on host0 failed in a test: " + own);
      EXPECT_EQ(seen[rank].batches.size(), 6u);
    }
  }
}

TEST_F(SpreadTests, OtherDataOfAProcessIsAnError) {
  write("other", kRecords - 1);
  const auto thrown = test::run_ranks(2, [&](test::ThreadGroup& group) {
    run([&](int rank) { return data(4, rank == 0 ? "lmdb" : "other") + kLosses; }, {{0, 1}}, &group);
  });
  for (const auto& error : thrown) {
    const std::string text = test::message_of(error);
    EXPECT_NE(text.find("rank 1 on host1: 6 batches after 0 passes, layer \"data\" from record 0 of 22 records"),
              std::string::npos)
        << text;
  }
}

TEST_F(SpreadTests, ALostProcessIsAnErrorOfTheOthers) {
  const auto thrown = test::run_ranks(2, [&](test::ThreadGroup& group) {
    if (group.rank() == 1) throw data_error("gone");
    run([&](int) { return data(4) + kLosses; }, {{5, 0}}, &group);
  });
  EXPECT_EQ(test::message_of(thrown[0]), "rank 1 is lost");
}

// The processes meet again without a lost one.
TEST_F(SpreadTests, TheGroupMayChange) {
  const std::string text = data(4) + kLosses;
  const Seen alone = run([&](int) { return text; }, {{5, 0}, {4, 0}, {5, 0}}, nullptr);
  for (const auto& thrown : test::run_ranks(2, [&](test::ThreadGroup& group) {
         TextSession opened(text, caffe::TEST, {}, test_device(), &group);
         opened.session.measure();
         for (size_t i = 0; i < alone.tests.size(); ++i) {
           opened.device_session.group = i == 1 ? nullptr : &group;
           const TestLength length{i == 1 ? 4 : 5, 0};
           expect_equal(evaluate(
                            opened.session, length, [](int64_t) { return true; }, [](int64_t, const auto&) {}),
                        alone.tests[i]);
         }
         EXPECT_EQ(opened.session.position().cursors.at("data").records, alone.cursors.at("data").records);
       }))
    EXPECT_EQ(test::message_of(thrown), "");
}

// A resumed training continues its tests from a position.
TEST_F(SpreadTests, TestsContinueFromAPosition) {
  const std::string text = data(4) + kLosses;
  std::vector<Evaluation> results(4);
  const auto test = [&](Group* group) {
    TextSession opened(text, caffe::TEST, {}, test_device(), group);
    opened.session.measure();
    opened.session.program(ProgramKind::kForward);  // the workers run
    NetPosition position = opened.session.position();
    position.passes = 7;
    position.cursors.at("data").records = 10;
    opened.session.seek(position);
    const Evaluation result = evaluate(
        opened.session, {5, 0}, [](int64_t) { return true; }, [](int64_t, const auto&) {});
    EXPECT_EQ(opened.session.position().cursors.at("data").records, 30u);
    EXPECT_EQ(opened.session.passes(), 12u);
    return result;
  };
  results[0] = test(nullptr);
  for (const auto& thrown : test::run_ranks(
           3, [&](test::ThreadGroup& group) { results[static_cast<size_t>(group.rank()) + 1] = test(&group); }))
    EXPECT_EQ(test::message_of(thrown), "");
  for (size_t i = 1; i < 4; ++i) expect_equal(results[i], results[0]);
}

}  // namespace
}  // namespace trainer
