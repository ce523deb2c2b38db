// The steps of an iteration with their times: what `trainer time` says of the longest, and its trace.
#pragma once

#include <string>
#include <vector>

#include "lowering/lower_net.h"
#include "runtime/program.h"

namespace trainer {

struct StepTime {
  std::string name;    // "winograd convolution of conv2"
  double seconds = 0;  // a run
  double operations = 0, bytes = 0;
};

// `seconds` are the sums of `runs` runs, by step.
std::vector<StepTime> step_times(const Program& program, const std::vector<LoweredLayer>& layers,
                                 const std::vector<double>& seconds, int runs);

// "4.2 ms, 210.5 GFLOP/s (44% of the machine's best), 9.1 GB/s (45%), bound by memory". Operations are those of the
// plain formula: a method that needs fewer can pass 100%.
std::string describe(const StepTime& step, const DeviceSpeed& best);

// One iteration in Chrome's trace format (chrome://tracing, ui.perfetto.dev): each step as long as it takes on average,
// with what it reaches. Replaces the file.
void write_trace(const std::string& path, const std::vector<StepTime>& steps, const DeviceSpeed& best);

}  // namespace trainer
