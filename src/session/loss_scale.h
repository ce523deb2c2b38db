// Loss scaling: what --precision=fp16 needs so that small gradients of activations do not vanish in float16.
//
// The gradient of the loss is multiplied by a scale, a power of two, and so are the gradients that accumulate over an
// iteration; the update divides them by it before all else. Where they hold an infinity or a NaN the update changes
// neither weights nor history, and the scale halves; after kStepsToDouble good updates in a row it doubles. All of this
// is arithmetic on states in device memory: the host never waits for it.
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

// The states of loss scaling, as a process begins.
void add_loss_scale(StateStore& store);

// The scale in a graph, rank 0.
Value read_loss_scale(Graph& graph);

// Adds to an update's graph what becomes of the scale. Returns whether all of `gradients` are finite, 1 or 0, in their
// rank.
Value update_loss_scale(Graph& graph, Value gradients);

// What a snapshot keeps of it; nothing where the store has none.
void save_loss_scale(const StateStore& store, caffe::SolverState* state);
// Nothing where the store or the state has none. Throws a data_error where the state of the file at `path` is damaged.
void restore_loss_scale(const std::string& path, const caffe::SolverState& state, StateStore& store);

// Tells of the updates that loss scaling leaves out; nothing where the store has none of its states.
class LeftOutUpdates {
 public:
  LeftOutUpdates(Device& device, const StateStore& store);
  // Asks how many they are by then, behind the updates that are queued.
  void start();
  // A line on those since the line before, as of the last start; "" where there are none.
  std::string describe();

 private:
  const StateStore& store_;
  std::unique_ptr<Readback> readback_;
  int64_t told_ = 0;
};

}  // namespace trainer
