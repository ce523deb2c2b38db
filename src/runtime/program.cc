// Running a compiled program.
#include "runtime/program.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/error.h"

namespace trainer {

OpInstance instance_of(const Graph& graph, const Op& op) {
  OpInstance instance{&op, {}, {}};
  for (int input : op.inputs) instance.inputs.push_back(graph.desc(input));
  for (int output : op.outputs) instance.outputs.push_back(graph.desc(output));
  return instance;
}

void* Program::address(int value) const {
  const Placement& place = values[static_cast<size_t>(value)].placement;
  switch (place.kind) {
    case Placement::kArena: return arena_.base() + place.offset;
    case Placement::kState: return state_data[static_cast<size_t>(place.index)];
    case Placement::kSource: return source_data_[static_cast<size_t>(place.index)];
  }
  return nullptr;
}

void Program::bind(Step& step) {
  constexpr size_t kMost = 64;
  void* inputs[kMost];
  void* outputs[kMost];
  std::vector<void*> more_inputs;
  TRAINER_ASSERT(step.op.outputs.size() <= kMost);
  void** in = inputs;
  if (step.op.inputs.size() > kMost) {
    more_inputs.resize(step.op.inputs.size());
    in = more_inputs.data();
  }
  for (size_t i = 0; i < step.op.inputs.size(); ++i) in[i] = address(step.op.inputs[i]);
  for (size_t i = 0; i < step.op.outputs.size(); ++i) outputs[i] = address(step.op.outputs[i]);
  step.kernel->bind({in, step.op.inputs.size()}, {outputs, step.op.outputs.size()},
                    arena_.base() + step.workspace_offset);
}

void Program::bind_all() {
  for (Step& step : steps) bind(step);
  generation_ = arena_.generation();
}

void Program::finish_plan(int64_t arena_bytes) {
  arena_bytes_ = arena_bytes;
  arena_.require(arena_bytes);
  source_data_.assign(sources.size(), nullptr);
  source_steps_.assign(sources.size(), {});
  for (size_t i = 0; i < steps.size(); ++i) {
    for (int input : steps[i].op.inputs) {
      const Placement& place = values[static_cast<size_t>(input)].placement;
      if (place.kind == Placement::kSource) source_steps_[static_cast<size_t>(place.index)].push_back(static_cast<int>(i));
    }
  }
  bind_all();
}

void Program::set_source(int source, void* data) {
  void*& known = source_data_[static_cast<size_t>(source)];
  if (known == data) return;
  known = data;
  if (generation_ != arena_.generation()) return;  // all steps are bound before the next run
  for (int step : source_steps_[static_cast<size_t>(source)]) bind(steps[static_cast<size_t>(step)]);
}

void Program::run(const RunContext& context) {
  if (generation_ != arena_.generation()) bind_all();
  for (Step& step : steps) step.kernel->run(context);
}

void Program::run_timed(const RunContext& context, std::vector<double>* seconds) {
  if (generation_ != arena_.generation()) bind_all();
  using Clock = std::chrono::steady_clock;
  Clock::time_point before = Clock::now();
  for (size_t i = 0; i < steps.size(); ++i) {
    steps[i].kernel->run(context);
    const Clock::time_point after = Clock::now();
    (*seconds)[i] += std::chrono::duration<double>(after - before).count();
    before = after;
  }
}

int Program::run_checked(const RunContext& context, const std::vector<int>& layers) {
  const auto concerned = [&](const LayerShare& share) {
    return std::find(layers.begin(), layers.end(), share.layer) != layers.end();
  };
  if (generation_ != arena_.generation()) bind_all();
  std::vector<float> host;
  for (size_t i = 0; i < steps.size(); ++i) {
    steps[i].kernel->run(context);
    const std::vector<LayerShare>& shares = steps[i].op.shares;
    if (!layers.empty() && std::none_of(shares.begin(), shares.end(), concerned)) continue;
    for (int output : steps[i].op.outputs) {
      const TensorDesc& desc = values[static_cast<size_t>(output)].desc;
      if (desc.dtype != DType::kF32) continue;
      host.resize(static_cast<size_t>(desc.shape.count()));
      device_.copy_to_host(host.data(), address(output), desc.bytes());
      for (float x : host) {
        if (!std::isfinite(x)) return static_cast<int>(i);
      }
    }
  }
  return -1;
}

void Program::read_result(int result, float* out) const {
  const int value = results[static_cast<size_t>(result)];
  TRAINER_ASSERT(value >= 0);
  device_.copy_to_host(out, address(value), values[static_cast<size_t>(value)].desc.bytes());
}

const TensorDesc& Program::result_desc(int result) const {
  return values[static_cast<size_t>(results[static_cast<size_t>(result)])].desc;
}

}  // namespace trainer
