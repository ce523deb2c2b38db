// The steps of an iteration with their times, for the report and the trace of `trainer time`.
#pragma once

#include <string>
#include <vector>

#include "lowering/lower_net.h"
#include "runtime/program.h"
#include "session/process_sums.h"

namespace trainer {

struct StepTime {
  std::string name;    // "winograd convolution of conv2"
  double seconds = 0;  // per run
  double operations = 0, bytes = 0;
};

// `seconds` has the sum over `runs` runs for each step.
std::vector<StepTime> step_times(const Program& program, const std::vector<LoweredLayer>& layers,
                                 const std::vector<double>& seconds, int runs);

// "4.2 ms, 210.5 GFLOP/s (44% of the machine's best), 9.1 GB/s (45%), bound by memory". Counts the operations of the
// plain formula: a method that needs fewer can exceed 100%.
std::string describe(const StepTime& step, const DeviceSpeed& best);

// Writes one iteration in Chrome's trace format (chrome://tracing, ui.perfetto.dev): each step with its average time
// and its rates, and in a second row the exchanges of gradients in the last iteration. Replaces the file.
void write_trace(const std::string& path, const std::vector<StepTime>& steps, const DeviceSpeed& best,
                 const std::vector<BucketTimes>& exchanges);

}  // namespace trainer
