// The memory that a training needs on each device.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lowering/lower_net.h"

namespace trainer {

class NetSession;
struct Rank;
struct TrainingDevice;
struct TrainingState;

// In bytes.
struct MemoryPlan {
  int64_t activations = 0, states = 0, batches = 0;
  int64_t free = 0;
  int64_t batch = 0;                      // items of a batch
  double recomputed = 0;                  // operations that are computed again, as a share of all
  std::map<std::string, int64_t> layers;  // the values that each layer makes in a training pass
  int64_t total() const { return activations + states + batches; }
  // The share of free memory that a plan may use: libraries and captured passes take some in addition.
  static constexpr double kUsable = 0.95;
};

MemoryPlan plan_memory(const TrainingState& state);

// The data buffers of the training net and the test nets.
int64_t batch_bytes(const NetSession& train, const std::vector<std::unique_ptr<NetSession>>& tests);

// Throws OutOfMemory if the states of the training are larger than the free memory of a device that is the host. The
// operating system hands out memory that it does not have and kills a process that uses it, so this check comes before
// the first parameter is filled.
void check_host_states(const caffe::SolverParameter& solver, const LoweredNet& train, const TrainingDevice& device);

// Throws OutOfMemory if the compiled training does not fit.
void check_planned_memory(const std::vector<Rank>& ranks, const std::vector<std::unique_ptr<NetSession>>& tests);

}  // namespace trainer
