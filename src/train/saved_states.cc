// Saves, restores and shares the states of a training.
#include "train/saved_states.h"

#include <algorithm>

#include "session/state_names.h"

namespace trainer {
namespace {

// The states that a training continues from, each once: the flat groups stand for their members.
std::vector<std::string> lasting_states(const StateStore& store) {
  std::vector<std::string> names = store.names(), groups = {kParameterGroup, kAverageGroup}, lasting;
  for (int h = 0; store.contains(history_group(h)); ++h) groups.push_back(history_group(h));
  std::erase_if(groups, [&](const std::string& group) { return !store.contains(group); });
  const auto is_member = [&](const std::string& name) {
    return std::any_of(groups.begin(), groups.end(), [&](const std::string& group) {
      const auto* begin = static_cast<const float*>(store.data(group));
      const auto* data = static_cast<const float*>(store.data(name));
      return name != group && data >= begin && data < begin + store.shape(group).count();
    });
  };
  for (const std::string& name : names) {
    const bool passing = is_carried(name) || name == kSkippedUpdates || name == kPassLoss || name == kGradientGroup ||
                         name.starts_with(gradient_state(""));
    if (!passing && !is_member(name)) lasting.push_back(name);
  }
  return lasting;
}

void clear_carried(StateStore& store) {
  for (const std::string& name : store.names()) {
    if (is_carried(name))
      store.write(name, std::vector<float>(static_cast<size_t>(store.shape(name).count()), 0.0f).data());
  }
}

}  // namespace

SavedStates save_states(const TrainingState& state, const std::vector<NetPosition>& tests) {
  SavedStates saved;
  saved.progress = progress_of(state.loop, {&state.train_net()}, tests, state.session());
  for (const Rank& rank : state.ranks) saved.carried.push_back(rank.net->position().carried);
  const StateStore& store = state.session().store;
  for (const std::string& name : lasting_states(store)) saved.values[name] = store.read(name);
  return saved;
}

void restore_states(const SavedStates& saved, TrainingState* state) {
  for (const Rank& rank : state->ranks) {
    StateStore& store = rank.session().store;
    for (const auto& [name, values] : saved.values) {
      if (store.contains(name)) store.write(name, values.data());
    }
    clear_carried(store);
  }
  continue_from("", saved.progress, &state->loop, state->train_nets(), state->tests, state->session());
  for (size_t i = 0; i < state->ranks.size() && i < saved.carried.size(); ++i) {
    NetPosition position = state->ranks[i].net->position();
    position.carried = saved.carried[i];
    state->ranks[i].net->seek(position);
  }
}

void share_states(Group& group, int root, TrainingState* state, const caffe::SolverState* carried) {
  const bool gives = group.rank() == root;
  caffe::SolverState progress;
  if (gives) progress = progress_of(state->loop, {&state->train_net()}, state->test_positions(), state->session());
  progress.clear_states();
  if (gives && carried != nullptr) *progress.mutable_states() = carried->states();
  const std::string text = group.broadcast_text(progress.SerializeAsString(), root);
  StateStore& store = state->session().store;
  std::vector<float> values;
  for (const std::string& name : lasting_states(store)) {
    values = gives ? store.read(name) : std::vector<float>(static_cast<size_t>(store.shape(name).count()));
    group.broadcast(values.data(), static_cast<int64_t>(values.size() * sizeof(float)), root);
    if (!gives) store.write(name, values.data());
  }
  if (gives) return;
  TRAINER_ASSERT(progress.ParseFromString(text));
  if (carried != nullptr) clear_carried(store);
  continue_from("", progress, &state->loop, state->train_nets(), state->tests, state->session());
}

void copy_to_other_devices(const TrainingState& state) {
  if (state.ranks.size() == 1) return;
  const StateStore& from = state.session().store;
  NetPosition position = state.train_net().position();
  position.carried.clear();
  for (size_t i = 1; i < state.ranks.size(); ++i) {
    StateStore& store = state.ranks[i].session().store;
    for (const std::string& name : from.names()) {
      if (store.contains(name) && !is_carried(name)) store.write(name, from.read(name).data());
    }
    state.ranks[i].net->seek(position);
  }
}

}  // namespace trainer
