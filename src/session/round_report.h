// What a process reports to its group about the batches of one test round.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace trainer {

// The values of a pass that a test adds up: see NetSession.
struct PassValues {
  std::vector<std::vector<float>> outputs, measured, counted;
  float loss = 0;
  int64_t items = 0;
};

struct RoundReport {
  std::string test;                // what it tests: must be equal on all processes
  std::string error;               // why the batches after `passes` were not run; "" if they were
  bool stop = false;               // asks all processes to stop
  double seconds = 0;              // of a batch
  std::vector<PassValues> passes;  // of its batches in order
};

std::string to_bytes(const RoundReport& report);
RoundReport round_report_of(const std::string& bytes);

}  // namespace trainer
