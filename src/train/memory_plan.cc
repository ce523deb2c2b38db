// Sums up and checks the memory of a training.
#include "train/memory_plan.h"

#include <algorithm>

#include "train/training_state.h"

namespace trainer {

int64_t batch_bytes(const NetSession& train, const std::vector<std::unique_ptr<NetSession>>& tests) {
  int64_t bytes = train.data().batch_bytes();
  for (const auto& test : tests) bytes += test->data().batch_bytes();
  return bytes;
}

MemoryPlan plan_memory(const TrainingState& state) {
  NetSession& train = state.train_net();
  const DeviceSession& session = state.session();
  const std::shared_ptr<const Program> program = train.program(ProgramKind::kTrain);
  MemoryPlan plan;
  plan.activations = session.arena.bytes();
  plan.states = session.store.bytes();
  plan.batches = batch_bytes(train, state.tests);
  plan.free = session.device->free_memory();
  plan.batch = train.batch_size();
  double operations = 0;
  for (const Step& step : program->steps) {
    operations += step.operations;
    if (step.op.shares.empty() || step.op.shares.front().layer < 0) continue;
    const std::string& layer = train.lowered().layers[static_cast<size_t>(step.op.shares.front().layer)].param->name();
    for (int output : step.op.outputs) {
      const PlannedValue& value = program->values[static_cast<size_t>(output)];
      if (value.placement.kind == Placement::kArena) plan.layers[layer] += value.desc.bytes();
    }
  }
  if (operations > 0) plan.recomputed = program->repeated.operations / operations;
  return plan;
}

void check_host_states(const caffe::SolverParameter& solver, const LoweredNet& train, const TrainingDevice& device) {
  if (!device.session.device->is_host()) return;
  const auto size = [](const ParameterInfo& parameter) { return parameter.shape.count() * size_of(DType::kF32); };
  int64_t bytes = 0, largest = 0;  // a parameter is filled in a copy
  for (const ParameterInfo& parameter : train.parameters) {
    if (parameter.owner) bytes += size(parameter);
    largest = std::max(largest, size(parameter));
  }
  for (const ParameterInfo* parameter : trained_parameters(train))
    bytes += size(*parameter) * (1 + history_blobs(solver.type()) + (average_name(solver).empty() ? 0 : 1));
  if (bytes + largest > device.free)
    throw OutOfMemory::make(device.session.device->name(), bytes + largest, device.free);
}

void check_planned_memory(const std::vector<Rank>& ranks, const std::vector<std::unique_ptr<NetSession>>& tests) {
  const int64_t batches = batch_bytes(*ranks.front().net, tests);
  for (const Rank& rank : ranks) {
    Device& device = *rank.session().device;
    const int64_t free = rank.device->free;
    const int64_t total = rank.session().arena.bytes() + rank.session().store.bytes() + batches;
    if (device.is_host() && total > free) throw OutOfMemory::make(device.name(), total, free);
    const int64_t left = device.free_memory() - batches;
    if (!device.is_host() && static_cast<double>(left) < (1 - MemoryPlan::kUsable) * static_cast<double>(free))
      throw OutOfMemory::make(device.name(), batches, device.free_memory());
  }
}

}  // namespace trainer
