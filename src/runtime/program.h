// A compiled program: steps in order, each a kernel bound to planned memory. A run allocates nothing.
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

// The memory of a value.
struct Placement {
  enum Kind : uint8_t { kArena, kState, kSource } kind = kArena;
  int index = 0;       // kState, kSource: position in the program's list
  int64_t offset = 0;  // kArena: bytes from the arena's base
};

// A value of a plan; `summary --plan` prints these.
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
  // The steps, from this one, that the kernel computes; 0: the kernel of an earlier step computes this one.
  size_t joined = 1;
  int64_t workspace_offset = 0;
  double operations = 0;  // multiply-adds counted twice
  double bytes = 0;       // read and written
};

// The recomputation that saves memory.
struct Repeated {
  double operations = 0;
  int64_t bytes_without = 0;  // of the arena without recomputation; 0 if nothing is recomputed
};

class Program {
 public:
  Program(Device& device, Arena& arena) : device_(device), arena_(arena) {}

  // Sets the buffer of a source until the next call. It is dense and has the planned descriptor.
  void set_source(int source, void* data);
  // Copies these results, all scalars, to the host in each run. Call before the first run.
  void watch(const std::vector<int>& results);
  // The last step that writes this state or reads the written value; -1 for none.
  int last_use(const std::string& state) const;
  // Sets the event after this step in each run. Call before the first run.
  void mark_after(int step, DeviceEvent& event) { marks_.emplace_back(step, &event); }
  // Runs all steps, or queues them on a device that runs asynchronously. All sources must be set. With `next`, a
  // program with the same arena whose sources never change, also runs its steps: one captured pass has both.
  void run(const RunContext& context, Program* next = nullptr);
  // The results of watch(), in order, of the last run. Waits only for the steps that compute them.
  std::span<const float> watched() const { return readback_->wait(); }
  // As run; adds the seconds of each step to its entry in `seconds`.
  void run_timed(const RunContext& context, std::vector<double>* seconds);
  // As run, but checks all results and returns the index of the first step that computes a NaN or an infinity, or -1.
  // If layers are given, checks only steps that compute for one of them.
  int run_checked(const RunContext& context, const std::vector<int>& layers = {});
  // Copies a result (see Module::results) to the host, row-major. `out` has room for its elements.
  void read_result(int result, float* out) const;
  const TensorDesc& result_desc(int result) const;
  // The address of a result on the device.
  const void* result_data(int result) const;

  int64_t arena_bytes() const { return arena_bytes_; }

  // Filled by the planner.
  std::vector<PlannedValue> values;
  std::vector<Step> steps;
  std::vector<std::string> states;  // names in the store
  std::vector<void*> state_data;
  std::vector<SourceInfo> sources;  // value: index in `values`, -1 if no step reads it
  std::vector<int> results;         // index in `values`, -1 for none
  Repeated repeated;
  void finish_plan(int64_t arena_bytes);  // call after filling the above: allocates the arena and binds all steps

 private:
  // The steps captured with these sources, and the steps of `next`.
  struct Recorded {
    std::vector<void*> sources;
    const Program* next;
    std::unique_ptr<CapturedPass> recording;
  };

  void* address(int value) const;
  void bind(size_t step);
  void bind_all();
  void begin(const RunContext& context);
  void run_step(size_t step, const RunContext& context);
  void run_steps(const RunContext& context, Program* next);
  bool can_record() const { return recordable_ && has_run_; }
  CapturedPass* recording(const RunContext& context, Program* next);

  Device& device_;
  Arena& arena_;
  int64_t arena_bytes_ = 0;
  int generation_ = -1;
  std::vector<void*> inputs_, outputs_;  // of the step that bind() binds
  std::vector<void*> source_data_;
  std::vector<std::vector<int>> source_steps_;  // steps that read each source, also through views
  std::vector<int> watched_;                    // values
  size_t last_watched_step_ = 0;                // that computes one of them
  std::vector<std::pair<int, DeviceEvent*>> marks_;
  std::unique_ptr<Readback> readback_;
  std::vector<const void*> watched_data_;
  bool recordable_ = true, has_run_ = false;  // since all steps were bound
  std::vector<Recorded> recordings_;
};

}  // namespace trainer
