// Runs a compiled program.
#include "runtime/program.h"

#include <algorithm>
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

void Program::bind(size_t first) {
  inputs_.clear();
  outputs_.clear();
  for (size_t i = first; i < first + steps[first].joined; ++i) {
    for (int input : steps[i].op.inputs) inputs_.push_back(address(input));
    for (int output : steps[i].op.outputs) outputs_.push_back(address(output));
  }
  steps[first].kernel->bind(inputs_, outputs_, arena_.base() + steps[first].workspace_offset);
}

void Program::bind_all() {
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].joined > 0) bind(i);
  }
  generation_ = arena_.generation();
  recordings_.clear();
  has_run_ = false;
}

void Program::finish_plan(int64_t arena_bytes) {
  arena_bytes_ = arena_bytes;
  arena_.require(arena_bytes);
  source_data_.assign(sources.size(), nullptr);
  source_steps_.assign(sources.size(), {});
  int bound = 0;  // the step whose kernel computes step i
  for (size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].joined > 0) bound = static_cast<int>(i);
    for (int input : steps[i].op.inputs) {
      const Placement& place = values[static_cast<size_t>(input)].placement;
      if (place.kind == Placement::kSource) source_steps_[static_cast<size_t>(place.index)].push_back(bound);
    }
  }
  recordable_ = std::all_of(steps.begin(), steps.end(), [](const Step& step) { return step.kernel->recordable(); });
  bind_all();
}

void Program::set_source(int source, void* data) {
  void*& known = source_data_[static_cast<size_t>(source)];
  if (known == data) return;
  known = data;
  if (generation_ != arena_.generation()) return;  // all steps are bound before the next run
  for (int step : source_steps_[static_cast<size_t>(source)]) bind(static_cast<size_t>(step));
}

void Program::watch(const std::vector<int>& wanted) {
  TRAINER_ASSERT(wanted.empty() || !steps.empty());
  for (int result : wanted) {
    const PlannedValue& value = values[static_cast<size_t>(results[static_cast<size_t>(result)])];
    TRAINER_ASSERT(value.desc.bytes() == size_of(DType::kF32));
    watched_.push_back(results[static_cast<size_t>(result)]);
    // Results stay until the end: the last step that writes there makes it.
    const auto makes = [&](int output) {
      const PlannedValue& made = values[static_cast<size_t>(output)];
      const int64_t before = value.placement.offset - made.placement.offset;
      return made.placement.kind == value.placement.kind && made.placement.index == value.placement.index &&
             before >= 0 && before < made.desc.bytes();
    };
    for (size_t i = 0; i < steps.size(); ++i) {
      if (std::any_of(steps[i].op.outputs.begin(), steps[i].op.outputs.end(), makes))
        last_watched_step_ = std::max(last_watched_step_, i);
    }
  }
  readback_ = device_.make_readback(watched_.size());
  watched_data_.resize(watched_.size());
}

int Program::last_use(const std::string& state) const {
  int last = -1;
  for (size_t i = 0; i < steps.size(); ++i) {
    const auto in_state = [&](int value) {
      const Placement& place = values[static_cast<size_t>(value)].placement;
      return place.kind == Placement::kState && states[static_cast<size_t>(place.index)] == state;
    };
    const Op& op = steps[i].op;
    if (std::any_of(op.inputs.begin(), op.inputs.end(), in_state) ||
        std::any_of(op.outputs.begin(), op.outputs.end(), in_state))
      last = static_cast<int>(i);
  }
  return last;
}

void Program::begin(const RunContext& context) {
  if (generation_ != arena_.generation()) bind_all();
  device_.begin_pass(context);
}

void Program::run_step(size_t step, const RunContext& context) {
  steps[step].kernel->run(context);
  for (const auto& [marked, event] : marks_) {
    if (static_cast<size_t>(marked) == step) event->set();
  }
  if (watched_.empty() || step != last_watched_step_) return;
  for (size_t i = 0; i < watched_.size(); ++i) watched_data_[i] = address(watched_[i]);
  readback_->start(watched_data_);
}

void Program::run_steps(const RunContext& context, Program* next) {
  for (size_t i = 0; i < steps.size(); ++i) run_step(i, context);
  if (next != nullptr) next->run_steps(context, nullptr);
}

// The captured pass for the current sources; nullptr if the steps are to be queued one by one, as in the first run, in
// which libraries may still allocate.
CapturedPass* Program::recording(const RunContext& context, Program* next) {
  constexpr size_t kMost = 4;
  if (!can_record() || (next != nullptr && !next->can_record())) return nullptr;
  for (const Recorded& known : recordings_) {
    if (known.sources == source_data_ && known.next == next) return known.recording.get();
  }
  std::unique_ptr<CapturedPass> made = device_.record([&] { run_steps(context, next); });
  recordable_ = made != nullptr;
  if (!recordable_) return nullptr;
  if (recordings_.size() == kMost) recordings_.erase(recordings_.begin());
  recordings_.push_back({source_data_, next, std::move(made)});
  return recordings_.back().recording.get();
}

void Program::run(const RunContext& context, Program* next) {
  begin(context);
  if (next != nullptr) next->begin(context);
  if (CapturedPass* recorded = recording(context, next)) {
    recorded->run();
  } else {
    run_steps(context, next);
  }
  has_run_ = true;
  if (next != nullptr) next->has_run_ = true;
}

void Program::run_timed(const RunContext& context, std::vector<double>* seconds) {
  begin(context);
  const std::unique_ptr<StepTimer> timer = device_.make_step_timer();
  timer->mark();
  for (size_t i = 0; i < steps.size(); ++i) {
    run_step(i, context);
    timer->mark();
  }
  const std::vector<double> measured = timer->read();
  for (size_t i = 0; i < steps.size(); ++i) (*seconds)[i] += measured[i];
}

int Program::run_checked(const RunContext& context, const std::vector<int>& layers) {
  const auto concerned = [&](const LayerShare& share) {
    return std::find(layers.begin(), layers.end(), share.layer) != layers.end();
  };
  begin(context);
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
  device_.copy_to_host(out, result_data(result), result_desc(result).bytes());
}

const void* Program::result_data(int result) const {
  const int value = results[static_cast<size_t>(result)];
  TRAINER_ASSERT(value >= 0);
  return address(value);
}

const TensorDesc& Program::result_desc(int result) const {
  return values[static_cast<size_t>(results[static_cast<size_t>(result)])].desc;
}

}  // namespace trainer
