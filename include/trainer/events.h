// The events of a training that callbacks receive.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace trainer {

// One element of a net output. `loss_weight` 0: not a loss.
struct OutputValue {
  std::string name;
  double value = 0;
  double loss_weight = 0;
};

// Sent after every iteration.
struct StepProgress {
  int64_t iteration = 0;  // iterations done
  double loss = 0;        // smoothed over average_loss iterations
  double learning_rate = 0;
  double data_wait_seconds = 0;  // time spent waiting for data since the start of the run
};

struct TestResult {
  int64_t iteration = 0;
  int net = 0;                       // which test net
  std::optional<double> loss;        // mean total loss, if test_compute_loss is set
  std::vector<OutputValue> outputs;  // means over the test
  int64_t images = 0;                // 0 if unknown
};

// Sent after a snapshot is written.
struct SnapshotFiles {
  int64_t iteration = 0;
  std::string weights;
  std::string state;
  bool hdf5 = false;
  std::string average;  // the weight file of ema or swa; "" if the solver keeps none
};

}  // namespace trainer
