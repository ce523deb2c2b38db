// --memory: recomputes forward values if memory is short, with the same bits.
#include "data/small_data.h"
#include "test_environment.h"
#include "train/train_net.h"

namespace trainer {
namespace {

// Residual blocks with batch norm, dropout and pooling between them.
std::string deep_net(const TempFolder& folder) {
  std::string text = R"(
layer { name: "data" type: "Data" top: "data" top: "label" transform_param { scale: 0.01 }
  data_param { source: ")" +
                     (folder / "lmdb") + R"(" backend: LMDB batch_size: 8 } }
layer { name: "first" type: "Convolution" bottom: "data" top: "b0"
  convolution_param { num_output: 12 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
)";
  for (int i = 0; i < 6; ++i) {
    const std::string in = "b" + std::to_string(i), out = "b" + std::to_string(i + 1), n = std::to_string(i);
    text += R"(
layer { name: "conv)" +
            n + R"(" type: "Convolution" bottom: ")" + in + R"(" top: "c)" + n + R"("
  convolution_param { num_output: 12 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } } }
layer { name: "bn)" +
            n + R"(" type: "BatchNorm" bottom: "c)" + n + R"(" top: "c)" + n + R"(" }
layer { name: "scale)" +
            n + R"(" type: "Scale" bottom: "c)" + n + R"(" top: "c)" + n + R"(" scale_param { bias_term: true } }
layer { name: "relu)" +
            n + R"(" type: "ReLU" bottom: "c)" + n + R"(" top: "c)" + n + R"(" }
layer { name: "drop)" +
            n + R"(" type: "Dropout" bottom: "c)" + n + R"(" top: "c)" + n + R"(" dropout_param { dropout_ratio: 0.2 } }
layer { name: "sum)" +
            n + R"(" type: "Eltwise" bottom: ")" + in + R"(" bottom: "c)" + n + R"(" top: ")" + out + R"(" }
)";
  }
  return text + R"(
layer { name: "pool" type: "Pooling" bottom: "b6" top: "pool" pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "score" type: "InnerProduct" bottom: "pool" top: "score"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
)";
}

struct Trained {
  WeightFile weights;
  int64_t planned = 0;
  Repeated repeated;
};

class Memory : public ::testing::Test {
 protected:
  Memory() { test::write_lmdb(folder_ / "lmdb", test::raw_records(53, 3, 24, 24)); }

  Trained train(const std::string& name, int64_t memory) const {
    const std::string net = folder_.write(name + ".prototxt", deep_net(folder_));
    const std::string solver =
        folder_.write(name + "_solver.prototxt",
                      "net: \"" + net + "\"\nsnapshot_prefix: \"" + (folder_ / name) +
                          "\"\nrandom_seed: 3 base_lr: 0.02 lr_policy: \"fixed\" momentum: 0.9 max_iter: 5\n");
    Diagnostics diagnostics;
    TrainingOptions options;
    options.devices = {test_device()};
    options.memory = memory;
    Training training(configure_training(solver, {}, &diagnostics), options);
    RunReport report;
    training.run(report);
    return {read_weights(folder_ / name + "_iter_5.caffemodel"), training.memory_plan().total(),
            training.train_net().program(ProgramKind::kTrain)->repeated};
  }

  const TempFolder folder_;
};

TEST_F(Memory, LessGivesTheSameBits) {
  const Trained whole = train("whole", 0);
  EXPECT_EQ(whole.repeated.bytes_without, 0);
  for (const double part : {0.85, 0.7}) {
    const int64_t limit = static_cast<int64_t>(part * static_cast<double>(whole.planned));
    const Trained less = train("less" + std::to_string(static_cast<int>(100 * part)), limit);
    EXPECT_LE(less.planned, limit);
    EXPECT_GT(less.repeated.bytes_without, 0);
    EXPECT_GT(less.repeated.operations, 0);
    ASSERT_EQ(less.weights.layers.size(), whole.weights.layers.size());
    for (size_t i = 0; i < whole.weights.layers.size(); ++i) {
      for (size_t k = 0; k < whole.weights.layers[i].blobs.size(); ++k)
        EXPECT_EQ(less.weights.layers[i].blobs[k].data, whole.weights.layers[i].blobs[k].data)
            << whole.weights.layers[i].name;
    }
  }
}

TEST_F(Memory, TooLittleIsToldWithWhatItTakes) {
  for (const int64_t limit : {int64_t{1} << 19, int64_t{1000}}) {
    try {
      train("little", limit);
      ADD_FAILURE() << "trained with " << limit << " bytes";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kDevice);
    }
  }
}

}  // namespace
}  // namespace trainer
