// The states of loss scaling and their arithmetic.
#include "session/loss_scale.h"

#include <fmt/format.h>

#include <limits>

#include "base/error.h"
#include "ops/math.h"
#include "session/state_names.h"

namespace trainer {
namespace {

Value read_scalar(Graph& graph, const char* state) { return graph.read_state({state, Shape{}, StateOwner::kSolver}); }
float scalar(const StateStore& store, const char* state) { return store.read(state).front(); }

}  // namespace

void add_loss_scale(StateStore& store) {
  for (const char* state : {kLossScale, kGoodUpdates, kSkippedUpdates}) store.add(state, Shape{});
  store.write(kLossScale, &kFirstLossScale);
}

Value read_loss_scale(Graph& graph) { return read_scalar(graph, kLossScale); }

// A comparison with a NaN is false.
Value is_finite(Value x) {
  return greater_equal(constant(*x.graph(), Shape{}, std::numeric_limits<float>::max()), abs(x));
}

Value update_loss_scale(Graph& graph, Value gradients, Value loss) {
  const Value bad = sum(1.0f - is_finite(gradients), all_axes(gradients.shape()));
  const Value finite = equal(bad, 0.0f), good = reshape(finite, Shape{});
  const Value scale = read_scalar(graph, kLossScale), counted = read_scalar(graph, kGoodUpdates) + 1.0f;
  const Value full = greater_equal(counted, static_cast<float>(kStepsToDouble));
  const Value after_good = select(full, minimum(scale * 2.0f, kMostLossScale), scale);
  const auto write = [&](const char* state, Value next) {
    graph.write_state(state, loss ? select(is_finite(loss), next, read_scalar(graph, state)) : next);
  };
  write(kLossScale, select(good, after_good, maximum(scale * 0.5f, kLeastLossScale)));
  write(kGoodUpdates, good * (1.0f - full) * counted);
  write(kSkippedUpdates, read_scalar(graph, kSkippedUpdates) + (1.0f - good));
  return finite;
}

void save_loss_scale(const StateStore& store, caffe::SolverState* state) {
  if (!store.contains(kLossScale)) return;
  state->set_loss_scale(scalar(store, kLossScale));
  state->set_good_updates(static_cast<uint32_t>(scalar(store, kGoodUpdates)));
}

void restore_loss_scale(const std::string& path, const caffe::SolverState& state, StateStore& store) {
  if (!store.contains(kLossScale) || !state.has_loss_scale()) return;
  const float scale = state.loss_scale(), good_updates = static_cast<float>(state.good_updates());
  if (!(scale >= kLeastLossScale && scale <= kMostLossScale) || good_updates >= static_cast<float>(kStepsToDouble))
    throw data_error("{}: a loss scale of {} after {} good updates is invalid: the file is damaged, copy it again",
                     path, scale, state.good_updates());
  store.write(kLossScale, &scale);
  store.write(kGoodUpdates, &good_updates);
}

SkippedUpdates::SkippedUpdates(Device& device, const StateStore& store) : store_(store) {
  if (store.contains(kSkippedUpdates)) readback_ = device.make_readback(2);
}

void SkippedUpdates::start() {
  if (!readback_) return;
  const void* const states[] = {store_.data(kSkippedUpdates), store_.data(kLossScale)};
  readback_->start(states);
}

std::string SkippedUpdates::describe() {
  if (!readback_) return "";
  const std::span<const float> values = readback_->wait();
  const int64_t skipped = static_cast<int64_t>(values[0]), more = skipped - reported_;
  reported_ = skipped;
  if (more == 0) return "";
  return fmt::format("Skipped {} update{} whose gradients float16 cannot hold; the loss scale is {}", more,
                     more == 1 ? "" : "s", values[1]);
}

}  // namespace trainer
