// Converts the progress of a training to and from a message.
#include "train/progress.h"

#include "base/error.h"

namespace trainer {
namespace {

void add_cursors(const NetPosition& position, const std::string& net, caffe::SolverState* state) {
  for (const auto& [layer, cursor] : position.cursors) {
    caffe::DataCursor* entry = state->add_cursors();
    entry->set_net(net);
    entry->set_layer(layer);
    entry->set_records(cursor.records);
    entry->set_epoch(cursor.epoch);
    entry->set_content(cursor.content);
  }
}

std::map<std::string, Cursor> cursors_of(const caffe::SolverState& state, const std::string& net) {
  std::map<std::string, Cursor> cursors;
  for (const caffe::DataCursor& entry : state.cursors()) {
    if (entry.net() == net) cursors[entry.layer()] = {entry.records(), entry.epoch(), entry.content()};
  }
  return cursors;
}

void add_carried(const NetPosition& position, const std::string& net, caffe::SolverState* state) {
  for (const auto& [name, carried] : position.carried) {
    caffe::NamedBlob* entry = state->add_states();
    entry->set_name(net + "/" + name);
    for (int64_t dim : carried.shape.dims()) entry->mutable_blob()->mutable_shape()->add_dim(dim);
    entry->mutable_blob()->mutable_data()->Add(carried.values.begin(), carried.values.end());
  }
}

std::map<std::string, CarriedState> carried_of(const std::string& path, const caffe::SolverState& state,
                                               const std::string& net) {
  std::map<std::string, CarriedState> carried;
  const std::string prefix = net + "/";
  for (const caffe::NamedBlob& entry : state.states()) {
    if (entry.name().compare(0, prefix.size(), prefix) != 0) continue;
    const auto& dims = entry.blob().shape().dim();
    const Shape shape(std::vector<int64_t>(dims.begin(), dims.end()));
    if (!check_shape(shape).empty() || shape.count() != entry.blob().data_size())
      throw data_error("{}: the carried state {} has {} values for the shape {}: the file is damaged, copy it again",
                       path, entry.name(), entry.blob().data_size(), shape.text());
    carried[entry.name().substr(prefix.size())] = {shape, {entry.blob().data().begin(), entry.blob().data().end()}};
  }
  return carried;
}

// The training net on a device, by its number among all devices.
std::string train_net(int device) { return device == 0 ? "train" : fmt::format("train{}", device); }
std::string test_net(size_t index) { return fmt::format("test{}", index); }

}  // namespace

caffe::SolverState carried_states_of(const std::vector<NetSession*>& train, const DeviceSession& first) {
  caffe::SolverState state;
  for (size_t i = 0; i < train.size(); ++i)
    add_carried(train[i]->position(), train_net(first.rank + static_cast<int>(i)), &state);
  return state;
}

caffe::SolverState progress_of(const LoopState& loop, const std::vector<NetSession*>& train,
                               const std::vector<NetPosition>& tests, const DeviceSession& first) {
  caffe::SolverState state = carried_states_of(train, first);
  state.set_iter(loop.iteration);
  state.set_current_step(loop.schedule.current_step);
  *state.mutable_plateau() = loop.schedule.plateau;
  *state.mutable_best() = loop.best;
  state.set_retries(loop.retries);
  if (!loop.run_folder.empty()) state.set_run_folder(loop.run_folder);
  state.set_seed(loop.seed);
  if (first.world > 1) state.set_devices(static_cast<uint32_t>(first.world));
  const NetPosition position = train.front()->position();
  state.set_forward_passes(position.passes);
  add_cursors(position, train_net(0), &state);
  for (size_t i = 0; i < tests.size(); ++i) {
    add_cursors(tests[i], test_net(i), &state);
    add_carried(tests[i], test_net(i), &state);
    state.add_test_passes(tests[i].passes);
  }
  for (float loss : loop.losses) state.add_loss_window(loss);
  return state;
}

void continue_from(const std::string& path, const caffe::SolverState& state, LoopState* loop,
                   const std::vector<NetSession*>& train, const std::vector<std::unique_ptr<NetSession>>& tests,
                   const DeviceSession& first) {
  loop->iteration = state.iter();
  loop->schedule.current_step = state.current_step();
  loop->schedule.plateau = state.plateau();
  loop->best = state.best();
  loop->retries = state.retries();
  loop->run_folder = state.run_folder();
  loop->seed = state.seed();
  loop->losses.assign(state.loss_window().begin(), state.loss_window().end());
  for (size_t i = 0; i < train.size(); ++i) {
    const std::string net = train_net(first.rank + static_cast<int>(i));
    train[i]->seek({state.forward_passes(), train_cursors(state), carried_of(path, state, net)});
  }
  for (size_t i = 0; i < tests.size() && static_cast<int>(i) < state.test_passes_size(); ++i)
    tests[i]->seek(
        {state.test_passes(static_cast<int>(i)), test_cursors(state, i), carried_of(path, state, test_net(i))});
}

std::map<std::string, Cursor> train_cursors(const caffe::SolverState& state) { return cursors_of(state, train_net(0)); }
std::map<std::string, Cursor> test_cursors(const caffe::SolverState& state, size_t index) {
  return cursors_of(state, test_net(index));
}

bool has_carried(const caffe::SolverState& state, int device) {
  const std::string prefix = train_net(device) + "/";
  return std::any_of(state.states().begin(), state.states().end(),
                     [&](const caffe::NamedBlob& entry) { return entry.name().starts_with(prefix); });
}

}  // namespace trainer
