// Keeps what a pass changes.
#include "train/iteration_start.h"

namespace trainer {

IterationStart::IterationStart(TrainingState& state) : state_(state) {
  int64_t total = 0;
  for (const ParameterInfo& parameter : state.train_net().lowered().parameters) {
    if (!parameter.owner || !parameter.statistic) continue;
    const int64_t bytes = parameter.shape.count() * static_cast<int64_t>(sizeof(float));
    statistics_.push_back({parameter.state, bytes, total});
    total += bytes;
  }
  for (const Rank& rank : state.ranks) blocks_.push_back(std::make_unique<DeviceBlock>(*rank.session().device, total));
}

void IterationStart::remember() {
  positions_.clear();
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const DeviceSession& session = state_.ranks[i].session();
    char* const block = static_cast<char*>(blocks_[i]->data());
    for (const Kept& kept : statistics_)
      session.device->copy_within(block + kept.offset, session.store.data(kept.state), kept.bytes);
    positions_.push_back(state_.ranks[i].net->position());
  }
}

void IterationStart::go_back() {
  for (size_t i = 0; i < positions_.size(); ++i) {
    const DeviceSession& session = state_.ranks[i].session();
    const char* const block = static_cast<const char*>(blocks_[i]->data());
    for (const Kept& kept : statistics_)
      session.device->copy_within(session.store.data(kept.state), block + kept.offset, kept.bytes);
    state_.ranks[i].net->seek(positions_[i]);
  }
}

}  // namespace trainer
