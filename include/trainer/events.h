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
  // Half of Wilson's 95% confidence interval of a share, about 1.96 * sqrt(p (1 - p) / n) for n records; 0 for other
  // outputs.
  double interval = 0;
  // The items that the value counts in a test: records, labels that are not ignored, elements; none if it is the mean
  // of all records.
  std::optional<int64_t> counted = std::nullopt;
};

// Numbers of a metric for each class; NaN where a number has no meaning, such as the precision of a class that is never
// predicted.
struct ClassTable {
  std::string metric;                // the name of the metric
  std::vector<std::string> columns;  // "precision", "recall"
  std::vector<double> cells;         // row-major, a row for each class
};

// The number of records by label (row) and predicted class (column).
struct ConfusionMatrix {
  std::string metric;
  int64_t classes = 0;
  std::vector<int64_t> counts;  // row-major

  int64_t count(int64_t label, int64_t predicted) const {
    return counts[static_cast<size_t>(label * classes + predicted)];
  }
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
  std::vector<OutputValue> outputs;  // means over the test, and the values of metrics
  int64_t images = 0;                // records read; 0 if unknown
  bool whole_set = false;            // each record of the data set was read once in each pass
  std::vector<ClassTable> tables = {};
  std::vector<ConfusionMatrix> confusions = {};
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
