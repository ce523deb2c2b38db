// Outputs of test nets that a solver watches: those of lr_policy "plateau" and of `best`.
#pragma once

#include <string>
#include <vector>

#include "lowering/lower_net.h"
#include "report/run_events.h"
#include "trainer.pb.h"

namespace trainer {

struct WatchedMetric {
  std::string field;  // the solver's field that names it, as "best.metric"
  std::string name;
  uint32_t net = 0;
  bool has_mode = false;
};

WatchedMetric plateau_metric(const caffe::SolverParameter& solver);
WatchedMetric best_metric(const caffe::SolverParameter& solver);
// Those of the two that the solver has.
std::vector<WatchedMetric> watched_metrics(const caffe::SolverParameter& solver);

// The first mistake of the solver in the choice of a metric; "" if there is none.
std::string check_metric(const caffe::SolverParameter& solver, const WatchedMetric& metric);

// The value of the metric in the outputs of a test of its net: an output with one value, or an element, as "each[1]".
// If there is none, sets `problem`.
double watched_value(const WatchedMetric& metric, const std::vector<OutputValue>& outputs, std::string* problem);

// The problem of a metric that the tests of `net` do not have; "" if there is none.
std::string find_missing_metric(const WatchedMetric& metric, const LoweredNet& net);

}  // namespace trainer
