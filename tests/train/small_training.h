// A small net over a small database, trained in an empty folder, for the tests of the training loop.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/small_data.h"
#include "formats/temp_folder.h"
#include "test_environment.h"
#include "train/configure_training.h"
#include "train/training.h"

namespace trainer {

// 53 records of 3 x 10 x 10 with 10 labels: batches of 8 never end at the end of an epoch. The net has the state that
// an exact resume could lose: shuffled and cropped data, mirroring, dropout, batch norm, states carried from batch to
// batch.
class SmallTraining {
 public:
  SmallTraining() { test::write_lmdb(folder_ / "lmdb", test::raw_records(53, 3, 10, 10)); }

  const TempFolder& folder() const { return folder_; }
  std::string data_type = "Data";
  std::string data = "data_param { source: \"FOLDER/lmdb\" backend: LMDB batch_size: 8 shuffle: SHUFFLE }";
  std::vector<std::string> weights;  // weight files to start from

  // Trains with `solver` (fields beside net and prefix) and files PREFIX_iter_N. Stops after `stop_after` iterations if
  // that is positive; returns true if it stopped.
  bool train(const std::string& prefix, const std::string& solver, const std::string& snapshot = "", int stop_after = 0,
             const std::function<void(Training&)>& look = {}) {
    const std::string path = write_files(prefix, solver);
    Diagnostics diagnostics;
    TrainingFiles files = configure_training(path, {}, &diagnostics);
    diagnostics.throw_if_errors();
    TrainingOptions options;
    options.devices = {test_device()};
    options.snapshot = snapshot;
    options.weights = weights;
    int polled = 0;
    options.poll = [&] { return ++polled == stop_after ? StopRequest::kStop : StopRequest::kNone; };
    Training training(std::move(files), options);
    RunReport report;
    const bool stopped = training.run(report) != TrainingEnd::kDone;
    if (look) look(training);
    return stopped;
  }

  std::string net_text() const {
    return R"(name: "small"
layer {
  name: "data" type: ")" +
           data_type + R"(" top: "data" top: "label" include { phase: TRAIN }
  transform_param { crop_size: 8 mirror: true scale: 0.01 } )" +
           placed(data, "true") + R"( }
layer {
  name: "data" type: ")" +
           data_type + R"(" top: "data" top: "label" include { phase: TEST }
  transform_param { crop_size: 8 scale: 0.01 } )" +
           placed(data, "false") + R"( }
layer {
  name: "conv" type: "Convolution" bottom: "data" top: "conv"
  param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }
  convolution_param { num_output: 6 kernel_size: 3 pad: 1 weight_filler { type: "xavier" } }
}
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer {
  name: "pool" type: "Pooling" bottom: "conv" top: "pool"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 }
}
layer {
  name: "ip1" type: "InnerProduct" bottom: "pool" top: "ip1"
  inner_product_param { num_output: 12 weight_filler { type: "xavier" } }
}
layer { name: "drop" type: "Dropout" bottom: "ip1" top: "ip1" dropout_param { dropout_ratio: 0.4 } }
layer { name: "steps" type: "Reshape" bottom: "ip1" top: "steps" reshape_param { shape { dim: 4 dim: 2 dim: 12 } } }
layer {
  name: "cont" type: "DummyData" top: "cont"
  dummy_data_param { shape { dim: 4 dim: 2 } data_filler { type: "constant" value: 1 } }
}
layer {
  name: "lstm" type: "LSTM" bottom: "steps" bottom: "cont" top: "lstm"
  recurrent_param { num_output: 12 weight_filler { type: "xavier" } }
}
layer { name: "items" type: "Reshape" bottom: "lstm" top: "items" reshape_param { shape { dim: 8 dim: 12 } } }
layer {
  name: "ip2" type: "InnerProduct" bottom: "items" top: "ip2"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip2" bottom: "label" top: "loss" }
layer { name: "accuracy" type: "Accuracy" bottom: "ip2" bottom: "label" top: "accuracy" include { phase: TEST } }
)";
  }

  std::string write_files(const std::string& prefix, const std::string& solver) {
    const std::string net = folder_.write("net.prototxt", net_text());
    return folder_.write("solver.prototxt", "net: \"" + net + "\"\nsnapshot_prefix: \"" + (folder_ / prefix) +
                                                "\"\nrandom_seed: 3\n" + solver);
  }

 private:
  std::string placed(std::string text, const std::string& shuffle) const {
    const auto replace = [&](const std::string& from, const std::string& to) {
      const size_t at = text.find(from);
      if (at != std::string::npos) text.replace(at, from.size(), to);
    };
    replace("FOLDER", folder_.path());
    replace("SHUFFLE", shuffle);
    return text;
  }

  TempFolder folder_;
};

}  // namespace trainer
