// A compiled program: steps in order, each a kernel bound to planned memory. Running it allocates nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/device.h"
#include "runtime/memory.h"

namespace trainer {

// Where a value lies.
struct Placement {
  enum Kind : uint8_t { kArena, kState, kSource } kind = kArena;
  int index = 0;       // kState, kSource: position in the program's list
  int64_t offset = 0;  // kArena: bytes from the arena's base
};

// A value as a plan sees it; `summary --plan` prints these.
struct PlannedValue {
  TensorDesc desc;
  std::string name;
  Placement placement;
};

struct Step {
  Op op;  // inputs and outputs index Program::values
  std::string implementation;
  std::vector<Refusal> refused;
  std::unique_ptr<Kernel> kernel;
  int64_t workspace_offset = 0;
  double operations = 0;  // multiply-adds counted twice
  double bytes = 0;       // read and written
};

// What a program computes again to need less memory.
struct Repeated {
  double operations = 0;
  int64_t bytes_without = 0;  // of the arena that it would need otherwise; 0 where nothing is repeated
};

class Program {
 public:
  Program(Device& device, Arena& arena) : device_(device), arena_(arena) {}

  // Where the caller's buffer for a source lies; it stays so until set again. Dense, of the planned descriptor.
  void set_source(int source, void* data);
  // Results, each a scalar, that are wanted after every run; before the first one.
  void watch(const std::vector<int>& results);
  // The last step that writes this state or reads what was written; -1 where none does.
  int last_use(const std::string& state) const;
  // From the next run on the marker is set behind this step; before the first one.
  void mark_after(int step, DeviceEvent& marker) { marks_.emplace_back(step, &marker); }
  // Runs all steps. Every source must be set. On a device beside the host they are only queued.
  void run(const RunContext& context);
  // Of the last run, in the sequence of watch: waits no longer than for the steps that make them.
  std::span<const float> watched() const { return readback_->wait(); }
  // As run, adding each step's seconds to `seconds` (one entry a step).
  void run_timed(const RunContext& context, std::vector<double>* seconds);
  // The same, looking at every result; stops at the first step that makes a NaN or an infinity and returns its
  // index, or -1. Where layers are given, at the results of steps that work for one of them only.
  int run_checked(const RunContext& context, const std::vector<int>& layers = {});
  // Copies a result (see Module::results) to the host, row-major. `out` has room for its elements.
  void read_result(int result, float* out) const;
  const TensorDesc& result_desc(int result) const;
  // Where the last run left it on the device.
  const void* result_data(int result) const;

  int64_t arena_bytes() const { return arena_bytes_; }

  // Filled by the planner.
  std::vector<PlannedValue> values;
  std::vector<Step> steps;
  std::vector<std::string> states;  // names in the store
  std::vector<void*> state_data;
  std::vector<SourceInfo> sources;  // value: index in `values`, -1 where nobody reads it
  std::vector<int> results;         // index in `values`, -1 where there is none
  Repeated repeated;
  void finish_plan(int64_t arena_bytes);  // after the above: takes the arena and binds

 private:
  // The steps as they were queued with these sources.
  struct Recorded {
    std::vector<void*> sources;
    std::unique_ptr<CapturedPass> recording;
  };

  void* address(int value) const;
  void bind(Step& step);
  void bind_all();
  void begin(const RunContext& context);
  void run_step(size_t step, const RunContext& context);
  void run_steps(const RunContext& context);
  CapturedPass* recording(const RunContext& context);

  Device& device_;
  Arena& arena_;
  int64_t arena_bytes_ = 0;
  int generation_ = -1;
  std::vector<void*> source_data_;
  std::vector<std::vector<int>> source_steps_;  // steps that read each source, through views too
  std::vector<int> watched_;                    // values
  size_t last_watched_step_ = 0;                // that makes one of them
  std::vector<std::pair<int, DeviceEvent*>> marks_;
  std::unique_ptr<Readback> readback_;
  std::vector<const void*> watched_data_;
  bool recordable_ = true, has_run_ = false;  // since all steps were bound
  std::vector<Recorded> recordings_;
};

}  // namespace trainer
