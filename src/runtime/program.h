// A compiled program: steps in order, each a kernel bound to planned memory. Running it allocates nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
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
  // Runs all steps. Every source must be set.
  void run(const RunContext& context);
  // The same, adding each step's seconds to `seconds` (one entry a step).
  void run_timed(const RunContext& context, std::vector<double>* seconds);
  // The same, looking at every result; stops at the first step that makes a NaN or an infinity and returns its
  // index, or -1. Where layers are given, at the results of steps that work for one of them only.
  int run_checked(const RunContext& context, const std::vector<int>& layers = {});
  // Copies a result (see Module::results) to the host, row-major. `out` has room for its elements.
  void read_result(int result, float* out) const;
  const TensorDesc& result_desc(int result) const;

  int64_t arena_bytes() const { return arena_bytes_; }

  // Filled by the planner.
  std::vector<PlannedValue> values;
  std::vector<Step> steps;
  std::vector<std::string> states;         // names in the store
  std::vector<void*> state_data;
  std::vector<SourceInfo> sources;         // value: index in `values`, -1 where nobody reads it
  std::vector<int> results;                // index in `values`, -1 where there is none
  Repeated repeated;
  void finish_plan(int64_t arena_bytes);   // after the above: takes the arena and binds

 private:
  void* address(int value) const;
  void bind(Step& step);
  void bind_all();

  Device& device_;
  Arena& arena_;
  int64_t arena_bytes_ = 0;
  int generation_ = -1;
  std::vector<void*> source_data_;
  std::vector<std::vector<int>> source_steps_;  // steps that read each source, through views too
};

}  // namespace trainer
