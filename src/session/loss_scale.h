// Loss scaling for --precision=fp16, so that small gradients of activations do not underflow in float16.
//
// The gradient of the loss, and so all gradients of an iteration, are multiplied by a scale, a power of two; the update
// first divides by it. If a gradient is an infinity or a NaN, the update changes neither weights nor history and the
// scale halves; after kStepsToDouble good updates in a row it doubles. All of this is arithmetic on states in device
// memory: the host never waits for it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "ops/graph.h"
#include "runtime/memory.h"
#include "trainer.pb.h"

namespace trainer {

constexpr float kFirstLossScale = 1 << 16, kLeastLossScale = 1, kMostLossScale = 1 << 24;
constexpr int kStepsToDouble = 2000;

// Adds the states of loss scaling with their initial values.
void add_loss_scale(StateStore& store);

// The scale in a graph, rank 0.
Value read_loss_scale(Graph& graph);

// 1 where x is finite, else 0.
Value is_finite(Value x);

// Adds the update of the scale to the graph of an update rule. Returns 1 if all `gradients` are finite, else 0, with
// the rank of `gradients`. If a `loss` is given and not finite, the scale and the counts stay as they are.
Value update_loss_scale(Graph& graph, Value gradients, Value loss);

// Saves the loss scale in a solver state; nothing if the store has none.
void save_loss_scale(const StateStore& store, caffe::SolverState* state);
// Restores the loss scale; nothing if the store or the solver state has none. Throws a data_error if the value in the
// file at `path` is invalid.
void restore_loss_scale(const std::string& path, const caffe::SolverState& state, StateStore& store);

// Counts the updates that loss scaling skips; none if the store has no loss scale.
class SkippedUpdates {
 public:
  SkippedUpdates(Device& device, const StateStore& store);
  // Queues a copy of the count after the queued updates.
  void start();
  // A line on the updates skipped between the last start and the line before; "" for none.
  std::string describe();

 private:
  const StateStore& store_;
  std::unique_ptr<Readback> readback_;
  int64_t reported_ = 0;
};

}  // namespace trainer
