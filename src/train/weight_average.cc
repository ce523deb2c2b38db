// The schedules of averages, and the program that swaps average and weights.
#include "train/weight_average.h"

#include <algorithm>

#include "base/error.h"
#include "compile/compile.h"
#include "session/state_names.h"

namespace trainer {

std::string average_name(const caffe::SolverParameter& solver) {
  return solver.has_ema() ? "ema" : solver.has_swa() ? "swa" : "";
}

bool tests_average(const caffe::SolverParameter& solver) { return solver.ema().test() || solver.swa().test(); }

float average_coefficient(const caffe::SolverParameter& solver, int iteration) {
  if (solver.has_ema()) {
    const double t = iteration, warmup = solver.ema().warmup(), decay = static_cast<double>(solver.ema().decay());
    return static_cast<float>(1 - (warmup + t == 0 ? decay : std::min(decay, (1 + t) / (warmup + t))));
  }
  const int64_t done = int64_t{iteration} + 1, start = solver.swa().start(), interval = solver.swa().interval();
  if (done <= start) return 1;
  return (done - start) % interval == 0 ? 1.0f / static_cast<float>((done - start) / interval + 1) : 0;
}

WeightAverage::WeightAverage(DeviceSession& device_session) : device_session_(device_session) {
  Module module;
  Graph& graph = *module.graph;
  graph.set_context(-1, Pass::kUpdate);
  const Shape flat = device_session.store.shape(kParameterGroup);
  const Value weights = graph.read_state({kParameterGroup, flat});
  const Value average = graph.read_state({kAverageGroup, flat, StateOwner::kSolver});
  graph.write_state(kParameterGroup, average);
  graph.write_state(kAverageGroup, weights);
  swap_ = compile(std::move(module), *device_session.device, device_session.store, device_session.arena);
}

void WeightAverage::start() {
  device_session_.store.write(kAverageGroup, device_session_.store.read(kParameterGroup).data());
}

void WeightAverage::use(bool average) {
  if (average != in_use_) swap_->run({});
  in_use_ = average;
}

WeightsInUse::Which weights_of_tests(const caffe::SolverParameter& solver) {
  return tests_average(solver) ? WeightsInUse::kAverage : WeightsInUse::kTrained;
}

WeightsInUse::WeightsInUse(WeightAverage* average, Which which)
    : average_(average), before_(average != nullptr && average->in_use_) {
  if (average_ != nullptr) average_->use(which == kAverage);
}

WeightsInUse::~WeightsInUse() {
  try {
    if (average_ != nullptr) average_->use(before_);
  } catch (const Error&) {
    // The device has failed: nothing reads its memory any more.
  }
}

}  // namespace trainer
