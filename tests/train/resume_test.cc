// A training that was stopped and resumed ends with the same bits as an uninterrupted one.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "captured_log.h"
#include "formats/solver_state.h"
#include "train/small_training.h"

namespace trainer {
namespace {

struct Case {
  const char* name;
  const char* solver;
  bool hdf5;
};

const char* kLoop =
    "max_iter: 60 iter_size: 2 test_iter: 3 test_interval: 20 average_loss: 7 display: 0 weight_decay: 0.001 ";

// The loop's part of the state. The texts of solver and net differ only by the path of the files.
std::string loop_fields(caffe::SolverState state) {
  state.clear_learned_net();
  state.clear_average_net();
  state.clear_resolved_solver();
  state.clear_resolved_net();
  return state.DebugString();
}

void expect_same_state(const std::string& a, const std::string& b) {
  const SolverStateFile left = read_solver_state(a), right = read_solver_state(b);
  ASSERT_EQ(left.history.size(), right.history.size());
  ASSERT_FALSE(left.history.empty());
  bool moved = false;
  for (size_t i = 0; i < left.history.size(); ++i) {
    const std::vector<float>&x = left.history[i].data, &y = right.history[i].data;
    ASSERT_EQ(x.size(), y.size());
    EXPECT_EQ(std::memcmp(x.data(), y.data(), x.size() * sizeof(float)), 0) << "history blob " << i;
    for (float value : x) moved = moved || value != 0;
  }
  EXPECT_TRUE(moved);
  EXPECT_EQ(left.state.states_size(), 4);  // h and c of the LSTM, in the train and the test net
  EXPECT_EQ(loop_fields(left.state), loop_fields(right.state));
}

void expect_same_bytes(const std::string& a, const std::string& b) {
  const std::string left = read_all(a), right = read_all(b);
  EXPECT_FALSE(left.empty());
  EXPECT_TRUE(left == right) << a << " and " << b << " differ";
}

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Resume : public testing::TestWithParam<Case> {
 protected:
  void compare(SmallTraining& training, int stop_after, int stopped_at) {
    const std::string ending = GetParam().hdf5 ? ".h5" : "";
    const std::string solver =
        kLoop + std::string(GetParam().solver) + (GetParam().hdf5 ? " snapshot_format: HDF5" : "");
    EXPECT_FALSE(training.train("whole", solver));
    EXPECT_TRUE(training.train("parts", solver, "", stop_after));
    const std::string base = training.folder() / ("parts_iter_" + std::to_string(stopped_at));
    EXPECT_FALSE(training.train("parts", solver, base + ".solverstate" + ending));
    expect_same_bytes(training.folder() / ("whole_iter_60.caffemodel" + ending),
                      training.folder() / ("parts_iter_60.caffemodel" + ending));
    if (contains(GetParam().solver, "best {"))
      expect_same_bytes(training.folder() / ("whole_best.caffemodel" + ending),
                        training.folder() / ("parts_best.caffemodel" + ending));
    for (const char* average : {"ema", "swa"}) {
      if (!contains(GetParam().solver, std::string(average) + " {")) continue;
      const std::string name = fmt::format("_iter_60_{}.caffemodel{}", average, ending);
      expect_same_bytes(training.folder() / ("whole" + name), training.folder() / ("parts" + name));
    }
    expect_same_state(training.folder() / ("whole_iter_60.solverstate" + ending),
                      training.folder() / ("parts_iter_60.solverstate" + ending));
  }
};

// The tests at 0 and 20 poll for a stop 3 times each before the 25th update: 25 + 6.
TEST_P(Resume, GivesTheSameBitsAsNeverStopping) {
  SmallTraining training;
  compare(training, 31, 25);
}

// The second batch of the test at iteration 20.
TEST_P(Resume, AfterAStopInsideATestGivesTheSameBits) {
  SmallTraining training;
  compare(training, 25, 20);
}

INSTANTIATE_TEST_SUITE_P(
    Solvers, Resume,
    testing::Values(
        Case{"Sgd",
             "base_lr: 0.05 lr_policy: 'multistep' gamma: 0.5 stepvalue: 10 stepvalue: 24 stepvalue: 40 "
             "momentum: 0.9 clip_gradients: 2",
             false},
        Case{"SgdHdf5", "base_lr: 0.05 lr_policy: 'step' gamma: 0.5 stepsize: 20 momentum: 0.9", true},
        Case{"Nesterov", "type: 'Nesterov' base_lr: 0.02 lr_policy: 'poly' power: 1 momentum: 0.9", true},
        Case{"AdaGrad", "type: 'AdaGrad' base_lr: 0.01 lr_policy: 'fixed' regularization_type: 'L1'", false},
        Case{"RmsProp", "type: 'RMSProp' base_lr: 0.002 lr_policy: 'inv' gamma: 0.01 power: 0.75 rms_decay: 0.9",
             false},
        Case{"AdaDelta", "type: 'AdaDelta' base_lr: 1 lr_policy: 'exp' gamma: 0.99 momentum: 0.95 delta: 1e-6", true},
        Case{"CosineAfterWarmUp", "base_lr: 0.05 lr_policy: 'cosine' final_lr: 0.001 warmup_iter: 30 momentum: 0.9",
             false},
        Case{"CosineRestarts",
             "base_lr: 0.05 lr_policy: 'cosine' cycles: 4 cycle_decay: 0.7 warmup_epochs: 1 warmup_start: 0.1 "
             "momentum: 0.9",
             false},
        Case{"LinearWithWeightDecay",
             "base_lr: 0.05 lr_policy: 'linear' final_lr: 0.001 momentum: 0.9 final_weight_decay: 0.05", true},
        Case{"OneCycle",
             "type: 'Adam' base_lr: 0.01 lr_policy: 'one_cycle' momentum: 0.9 min_momentum: 0.8 momentum2: 0.99 "
             "final_weight_decay: 0.01 weight_decay_policy: 'linear'",
             false},
        Case{"PlateauOfATest",
             "base_lr: 0.05 lr_policy: 'plateau' gamma: 0.5 momentum: 0.9 "
             "plateau { metric: 'accuracy' mode: MAX patience: 0 min_delta: 0.2 }",
             false},
        Case{"PlateauOfTheLossHdf5",
             "base_lr: 0.05 lr_policy: 'plateau' gamma: 0.7 momentum: 0.9 stepsize: 4 "
             "plateau { patience: 1 min_delta: 0.1 cooldown: 1 }",
             true},
        Case{"Best",
             "base_lr: 0.05 lr_policy: 'fixed' momentum: 0.9 best { metric: 'accuracy' mode: MAX } "
             "early_stop { patience: 9 min_delta: 0.1 }",
             false},
        Case{"BestAverageHdf5",
             "base_lr: 0.05 lr_policy: 'fixed' momentum: 0.9 best { metric: 'loss' mode: MIN } divergence { } "
             "early_stop { patience: 9 } ema { decay: 0.9 test: true }",
             true},
        Case{"Adam", "type: 'Adam' base_lr: 0.002 lr_policy: 'fixed' momentum: 0.9 momentum2: 0.99", false},
        Case{"AdamWEma",
             "type: 'AdamW' base_lr: 0.002 lr_policy: 'fixed' momentum: 0.9 clip_gradients: 2 clip_value: 0.1 "
             "ema { decay: 0.9 test: true }",
             false},
        Case{"NAdamSwaHdf5",
             "type: 'NAdam' base_lr: 0.002 lr_policy: 'fixed' momentum: 0.9 swa { start: 10 interval: 4 test: true }",
             true},
        Case{"RAdam", "type: 'RAdam' base_lr: 0.002 lr_policy: 'fixed' momentum: 0.9 layer_decay: 0.8", false},
        Case{"LionEmaHdf5",
             "type: 'Lion' base_lr: 0.0005 lr_policy: 'fixed' momentum: 0.9 momentum2: 0.99 ema { }"
             "param_rule { pattern: 'ip1' lr_mult: 0 }",
             true},
        Case{"LambSwa", "type: 'LAMB' base_lr: 0.005 lr_policy: 'fixed' momentum: 0.9 swa { interval: 3 }", false},
        Case{"LarsEma",
             "type: 'LARS' base_lr: 1 lr_policy: 'fixed' momentum: 0.9 trust_coefficient: 0.01 clip_adaptive: 0.5 "
             "ema { warmup: 0 }",
             false},
        Case{"SigmoidAfterExponentialWarmUp",
             "base_lr: 0.05 lr_policy: 'sigmoid' gamma: 0.2 stepsize: 30 warmup_iter: 25 warmup_start: 0.01 "
             "warmup_type: EXPONENTIAL momentum: 0.9",
             false},
        Case{"PlateauOfAnEmaHdf5",
             "type: 'AdamW' base_lr: 0.002 lr_policy: 'plateau' gamma: 0.5 momentum: 0.9 warmup_iter: 15 "
             "plateau { metric: 'loss' mode: MIN patience: 0 min_delta: 0.2 } ema { decay: 0.9 test: true }",
             true},
        Case{"PlateauOfTheLossWithSwa",
             "type: 'Nesterov' base_lr: 0.05 lr_policy: 'plateau' gamma: 0.7 momentum: 0.9 stepsize: 4 "
             "plateau { patience: 1 min_delta: 0.1 } swa { start: 15 interval: 4 }",
             false},
        Case{"OneCycleLionEma",
             "type: 'Lion' base_lr: 0.0005 lr_policy: 'one_cycle' momentum: 0.9 min_momentum: 0.8 momentum2: 0.99 "
             "ema { decay: 0.9 }",
             false},
        Case{"GradualUnfreezing",
             "base_lr: 0.05 lr_policy: 'fixed' momentum: 0.9 clip_gradients: 2 freeze { pattern: 'conv' until_iter: 25 "
             "} "
             "freeze { pattern: 'bn' until_epochs: 2 } freeze { pattern: 'lstm*' until_iter: 41 } snapshot_diff: true",
             false},
        Case{"GradualUnfreezingAdamWEmaHdf5",
             "type: 'AdamW' base_lr: 0.002 lr_policy: 'fixed' momentum: 0.9 freeze { pattern: '*/1' } "
             "freeze { pattern: 'ip*' until_epochs: 3 } ema { decay: 0.9 test: true }",
             true},
        Case{"GradualUnfreezingLamb",
             "type: 'LAMB' base_lr: 0.005 lr_policy: 'fixed' momentum: 0.9 freeze { pattern: 'lstm' until_iter: 20 } "
             "freeze { pattern: 'scale' until_iter: 25 }",
             false},
        Case{"Sgdw", "type: 'SGDW' base_lr: 0.02 lr_policy: 'fixed' momentum: 0.9", false}),
    [](const testing::TestParamInfo<Case>& info) { return info.param.name; });

// Random cut points, the same in each run: one in each third, which a test of 3 batches precedes.
TEST_P(Resume, AtOtherIterationsGivesTheSameBits) {
  SmallTraining training;
  uint32_t draw = static_cast<uint32_t>(std::hash<std::string>()(GetParam().name));
  for (int third = 0; third < 3; ++third) {
    draw = draw * 1664525 + 1013904223;
    const int iteration = 20 * third + 1 + static_cast<int>(draw >> 8) % 19;
    SCOPED_TRACE(iteration);
    compare(training, iteration + 3 * (third + 1), iteration);
  }
}

std::string train_and_listen(SmallTraining& training, const std::string& solver, const std::string& snapshot) {
  const CapturedLog log;
  training.train("again", solver, snapshot);
  return log.text();
}

TEST(ResumeNotes, AChangedSolverIsListed) {
  SmallTraining training;
  const std::string solver = "max_iter: 12 lr_policy: 'fixed' momentum: 0.9 ";
  EXPECT_TRUE(training.train("first", solver + "base_lr: 0.01", "", 5));
  const std::string said =
      train_and_listen(training, solver + "base_lr: 0.0625", training.folder() / "first_iter_5.solverstate");
  EXPECT_TRUE(contains(said, "The solver has changed since the snapshot"));
  EXPECT_TRUE(contains(said, "- base_lr: 0.01"));
  EXPECT_TRUE(contains(said, "+ base_lr: 0.0625"));
  EXPECT_EQ(said.find("The net has changed"), std::string::npos);
}

TEST(ResumeNotes, AnotherDatabaseIsReported) {
  SmallTraining training;
  const std::string solver = "max_iter: 12 base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 ";
  for (const char* format : {"", "snapshot_format: HDF5"}) {
    EXPECT_TRUE(training.train("first", solver + format, "", 5));
    const std::string state =
        training.folder() / (*format == 0 ? "first_iter_5.solverstate" : "first_iter_5.solverstate.h5");
    EXPECT_EQ(train_and_listen(training, solver + format, state).find("The data of layer"), std::string::npos);
    std::filesystem::remove_all(training.folder() / "lmdb");
    test::write_lmdb(training.folder() / "lmdb", test::raw_records(31, 3, 10, 10));
    EXPECT_TRUE(contains(train_and_listen(training, solver + format, state),
                         "The data of layer \"data\" has changed since the snapshot: it was 53 records from "
                         "\"00000000\" to \"00000052\", it "
                         "is 31 records from \"00000000\" to \"00000030\""));
    std::filesystem::remove_all(training.folder() / "lmdb");
    test::write_lmdb(training.folder() / "lmdb", test::raw_records(53, 3, 10, 10));
  }
  // A state of an earlier version has no content.
  EXPECT_TRUE(training.train("first", solver, "", 5));
  const std::string path = training.folder() / "first_iter_5.solverstate";
  caffe::SolverState old;
  ASSERT_TRUE(old.ParseFromString(read_all(path)));
  for (caffe::DataCursor& cursor : *old.mutable_cursors()) {
    EXPECT_TRUE(cursor.has_content());
    cursor.clear_content();
  }
  training.folder().write("first_iter_5.solverstate", old.SerializeAsString());
  std::filesystem::remove(training.folder() / "first_iter_5.manifest");
  std::filesystem::remove_all(training.folder() / "lmdb");
  test::write_lmdb(training.folder() / "lmdb", test::raw_records(31, 3, 10, 10));
  EXPECT_EQ(train_and_listen(training, solver, path).find("The data of layer"), std::string::npos);
}

// A list with the same first and last line, of as many lines.
TEST(ResumeNotes, AnEditedListIsReported) {
  SmallTraining training;
  std::string list;
  for (int i = 0; i < 40; ++i) {
    const std::string image = training.folder().write(fmt::format("{}.ppm", i),
                                                      "P6 10 10 255\n" + std::string(300, static_cast<char>('A' + i)));
    list += fmt::format("{} {}\n", image, i % 10);
  }
  training.folder().write("list.txt", list);
  training.data_type = "ImageData";
  training.data = "image_data_param { source: \"FOLDER/list.txt\" batch_size: 8 shuffle: SHUFFLE }";
  const std::string solver = "max_iter: 12 base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 ";
  EXPECT_TRUE(training.train("first", solver, "", 5));
  const std::string path = training.folder() / "first_iter_5.solverstate";
  EXPECT_EQ(train_and_listen(training, solver, path).find("The data of layer"), std::string::npos);
  list.replace(list.find("7.ppm 7"), 7, "7.ppm 6");
  training.folder().write("list.txt", list);
  EXPECT_TRUE(contains(train_and_listen(training, solver, path),
                       "The data of layer \"data\" has changed since the snapshot: it was 40 records from "));

  // A state of an earlier version has no digest.
  caffe::SolverState old;
  ASSERT_TRUE(old.ParseFromString(read_all(path)));
  for (caffe::DataCursor& cursor : *old.mutable_cursors()) {
    const size_t end = cursor.content().find(", digest of paths and labels ");
    ASSERT_NE(end, std::string::npos);
    cursor.mutable_content()->resize(end);
  }
  training.folder().write("first_iter_5.solverstate", old.SerializeAsString());
  std::filesystem::remove(training.folder() / "first_iter_5.manifest");
  EXPECT_EQ(train_and_listen(training, solver, path).find("The data of layer"), std::string::npos);
}

TEST(ResumeNotes, AStateOfCaffesOwnResumes) {
  SmallTraining training;
  const std::string solver = "max_iter: 12 base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 ";
  EXPECT_TRUE(training.train("first", solver, "", 5));
  const SolverStateFile ours = read_solver_state(training.folder() / "first_iter_5.solverstate");
  caffe::SolverState caffes;
  caffes.set_iter(5);
  caffes.set_learned_net("/elsewhere/first_iter_5.caffemodel");  // is found beside the state
  caffes.set_current_step(0);
  std::vector<BlobRef> history;
  for (const WeightBlob& blob : ours.history) history.push_back({blob.shape, blob.data.data(), nullptr, false});
  const std::string path = training.folder() / "caffe_iter_5.solverstate";
  write_whole(write_solver_state, path, caffes, history);

  const std::string said = train_and_listen(training, solver, path);
  EXPECT_TRUE(contains(said, "data starts from the beginning"));
  const SolverStateFile end = read_solver_state(training.folder() / "again_iter_12.solverstate");
  EXPECT_EQ(end.state.iter(), 12);
  EXPECT_EQ(end.state.forward_passes(), 12u);
}

TEST(ResumeNotes, AStateWithoutWeightsIsRefused) {
  SmallTraining training;
  const std::string solver = "max_iter: 12 base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 ";
  const std::string path = training.folder() / "bare_iter_5.solverstate";
  caffe::SolverState bare;
  bare.set_iter(5);
  write_whole(write_solver_state, path, bare, {});
  EXPECT_TRUE(contains(data_error_of([&] { training.train("again", solver, path); }), "does not name its weights"));
}

TEST(ResumeNotes, AStateOfAnotherSolverTypeIsRefused) {
  SmallTraining training;
  const std::string solver = "max_iter: 12 base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 ";
  EXPECT_TRUE(training.train("first", solver, "", 5));
  EXPECT_TRUE(contains(data_error_of([&] {
                         training.train("again", solver + "type: 'Adam'",
                                        training.folder() / "first_iter_5.solverstate");
                       }),
                       "Incorrect length of history blobs"));
}

}  // namespace
}  // namespace trainer
