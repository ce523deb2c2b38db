// Keeps what a pass changes.
#include "train/iteration_start.h"

namespace trainer {

IterationStart::IterationStart(TrainingState& state) : state_(state) {
  for (const ParameterInfo& parameter : state.train_net().lowered().parameters) {
    if (parameter.owner && parameter.statistic)
      statistics_.emplace_back(parameter.state, std::vector<float>(static_cast<size_t>(parameter.shape.count())));
  }
}

void IterationStart::remember() {
  const StateStore& store = state_.session().store;
  for (auto& [name, values] : statistics_)
    state_.session().device->copy_to_host(values.data(), store.data(name),
                                          static_cast<int64_t>(values.size() * sizeof(float)));
  positions_.clear();
  for (const Rank& rank : state_.ranks) positions_.push_back(rank.net->position());
}

void IterationStart::go_back() {
  for (size_t i = 0; i < positions_.size(); ++i) {
    for (const auto& [name, values] : statistics_) state_.ranks[i].session().store.write(name, values.data());
    state_.ranks[i].net->seek(positions_[i]);
  }
}

}  // namespace trainer
