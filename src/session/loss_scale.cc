// The states of loss scaling and their arithmetic.
#include "session/loss_scale.h"

#include <fmt/format.h>

#include <limits>

#include "base/error.h"
#include "ops/math.h"

namespace trainer {
namespace {

constexpr const char* kScale = "loss_scale";
constexpr const char* kGoodUpdates = "loss_scale/good_updates";  // in a row, at this scale
constexpr const char* kLeftOut = "loss_scale/left_out";          // updates since the process began

Value read_scalar(Graph& graph, const char* state) { return graph.read_state({state, Shape{}, StateOwner::kSolver}); }
float scalar(const StateStore& store, const char* state) { return store.read(state).front(); }

}  // namespace

void add_loss_scale(StateStore& store) {
  for (const char* state : {kScale, kGoodUpdates, kLeftOut}) store.add(state, Shape{});
  store.write(kScale, &kFirstLossScale);
}

Value read_loss_scale(Graph& graph) { return read_scalar(graph, kScale); }

Value update_loss_scale(Graph& graph, Value gradients) {
  // A comparison with a NaN is false.
  const Value finite_ones = greater_equal(constant(graph, Shape{}, std::numeric_limits<float>::max()), abs(gradients));
  const Value bad = sum(1.0f - finite_ones, all_axes(gradients.shape()));
  const Value finite = equal(bad, 0.0f), good = reshape(finite, Shape{});
  const Value scale = read_scalar(graph, kScale), counted = read_scalar(graph, kGoodUpdates) + 1.0f;
  const Value full = greater_equal(counted, static_cast<float>(kStepsToDouble));
  const Value after_good = select(full, minimum(scale * 2.0f, kMostLossScale), scale);
  graph.write_state(kScale, select(good, after_good, maximum(scale * 0.5f, kLeastLossScale)));
  graph.write_state(kGoodUpdates, good * (1.0f - full) * counted);
  graph.write_state(kLeftOut, read_scalar(graph, kLeftOut) + (1.0f - good));
  return finite;
}

void save_loss_scale(const StateStore& store, caffe::SolverState* state) {
  if (!store.contains(kScale)) return;
  state->set_loss_scale(scalar(store, kScale));
  state->set_good_updates(static_cast<uint32_t>(scalar(store, kGoodUpdates)));
}

void restore_loss_scale(const std::string& path, const caffe::SolverState& state, StateStore& store) {
  if (!store.contains(kScale) || !state.has_loss_scale()) return;
  const float scale = state.loss_scale(), good_updates = static_cast<float>(state.good_updates());
  if (!(scale >= kLeastLossScale && scale <= kMostLossScale) || good_updates >= static_cast<float>(kStepsToDouble))
    throw data_error("{}: a loss scale of {} after {} good updates cannot be: the file is damaged, copy it again", path,
                     scale, state.good_updates());
  store.write(kScale, &scale);
  store.write(kGoodUpdates, &good_updates);
}

LeftOutUpdates::LeftOutUpdates(Device& device, const StateStore& store) : store_(store) {
  if (store.contains(kLeftOut)) readback_ = device.make_readback(2);
}

void LeftOutUpdates::start() {
  if (!readback_) return;
  const void* const states[] = {store_.data(kLeftOut), store_.data(kScale)};
  readback_->start(states);
}

std::string LeftOutUpdates::describe() {
  if (!readback_) return "";
  const std::span<const float> values = readback_->wait();
  const int64_t left_out = static_cast<int64_t>(values[0]), more = left_out - told_;
  told_ = left_out;
  if (more == 0) return "";
  return fmt::format("Left out {} update{} whose gradients float16 could not hold; the loss scale is {}", more,
                     more == 1 ? "" : "s", values[1]);
}

}  // namespace trainer
