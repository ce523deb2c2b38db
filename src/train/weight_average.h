// The average of the trained weights that `ema` or `swa` keeps on the first device.
//
// The update itself advances the average (update_rule.h). For tests and files the average and the weights change
// places in device memory.
#pragma once

#include <memory>
#include <string>

#include "session/device_session.h"
#include "trainer.pb.h"

namespace trainer {

// "ema", "swa", or "" if the solver keeps no average.
std::string average_name(const caffe::SolverParameter& solver);
// Whether tests use the average.
bool tests_average(const caffe::SolverParameter& solver);
// The part of the weights after iteration `iteration`, counted from 0, in the next average.
float average_coefficient(const caffe::SolverParameter& solver, int iteration);

class WeightAverage {
 public:
  // The store must have the groups of parameters and averages.
  explicit WeightAverage(DeviceSession& device_session);

  // Sets the average to the weights.
  void start();

 private:
  friend class WeightsInUse;
  void use(bool average);

  DeviceSession& device_session_;
  std::unique_ptr<Program> swap_;
  bool in_use_ = false;  // the average is in the place of the weights
};

// While it exists, the parameters of the store are the average or the trained weights.
class WeightsInUse {
 public:
  enum Which { kTrained, kAverage };
  // Without an average nothing changes.
  WeightsInUse(WeightAverage* average, Which which);
  ~WeightsInUse();
  WeightsInUse(const WeightsInUse&) = delete;
  WeightsInUse& operator=(const WeightsInUse&) = delete;

 private:
  WeightAverage* const average_;
  const bool before_;
};

WeightsInUse::Which weights_of_tests(const caffe::SolverParameter& solver);

}  // namespace trainer
