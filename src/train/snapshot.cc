// Snapshots: writing, finding and restoring.
#include "train/snapshot.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "formats/atomic_file.h"
#include "formats/manifest.h"
#include "formats/solver_state.h"
#include "session/loss_scale.h"
#include "train/update_rule.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

constexpr ptrdiff_t kNamed = 8;  // snapshots in one line

bool hdf5(const caffe::SolverParameter& solver) {
  return solver.snapshot_format() == caffe::SolverParameter_SnapshotFormat_HDF5;
}

std::string text_of(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::TextFormat::PrintToString(message, &text);
  return text;
}

std::string net_text(const LoweredNet& net) {
  std::string text;
  for (const LoweredLayer& layer : net.layers) text += text_of(*layer.param) + "\n";
  return text;
}

std::vector<const ParameterInfo*> owned_parameters(const LoweredNet& net) {
  std::vector<const ParameterInfo*> owned;
  for (const ParameterInfo& parameter : net.parameters) {
    if (parameter.owner) owned.push_back(&parameter);
  }
  return owned;
}

void require_finite(const LoweredNet& net, const std::map<std::string, std::vector<float>>& values) {
  for (const auto& [state, data] : values) {
    if (std::all_of(data.begin(), data.end(), [](float x) { return std::isfinite(x); })) continue;
    throw Error(ExitCode::kDiverged,
                fmt::format("parameter {} of net \"{}\" is not finite: no snapshot is written, the last one is kept",
                            state, net.name));
  }
}

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

std::string train_net(size_t rank) { return rank == 0 ? "train" : fmt::format("train{}", rank); }
std::string test_net(size_t index) { return fmt::format("test{}", index); }

// Prefers the model beside the state: another run may have replaced the one at the recorded path.
std::string find_model(const std::string& state_path, const std::string& recorded) {
  const fs::path beside = fs::path(state_path).parent_path() / fs::path(recorded).filename();
  if (fs::exists(beside)) return beside.string();
  if (fs::exists(recorded)) return recorded;
  throw data_error("{}: the model it was written with is missing: neither {} nor {} exists. Copy it to either place",
                   state_path, fs::absolute(recorded).string(), fs::absolute(beside).string());
}

void restore_history(const std::string& path, const SolverStateFile& file, const caffe::SolverParameter& solver,
                     const LoweredNet& net, DeviceSession& device_session) {
  const std::vector<const ParameterInfo*> owned = owned_parameters(net);
  const size_t blobs = static_cast<size_t>(history_blobs(solver.type()));
  if (file.history.size() != owned.size() * blobs)
    throw data_error(
        "{}: Incorrect length of history blobs: the state has {}, solver type {} with this net's {} parameters "
        "keeps {}. Is it the state of another net or solver type?",
        path, file.history.size(), solver.type(), owned.size(), owned.size() * blobs);
  for (size_t h = 0; h < blobs; ++h) {
    for (size_t i = 0; i < owned.size(); ++i) {
      const WeightBlob& blob = file.history[h * owned.size() + i];
      if (blob.data.size() != static_cast<size_t>(owned[i]->shape.count()))
        throw data_error(
            "{}: history of {} is {}, the net's blob is {}. A net whose shapes changed cannot be resumed; "
            "start from its weights with --weights",
            path, owned[i]->state, blob.shape.caffe_text(), owned[i]->shape.caffe_text());
      const std::string state = UpdateRule::history_state(static_cast<int>(h), owned[i]->state);
      if (device_session.store.contains(state)) device_session.store.write(state, blob.data.data());
    }
  }
}

// Lines of a that b lacks, "+"/"-" style, for the list of changes.
void list_changes(const std::string& what, const std::string& before, const std::string& after,
                  std::vector<std::string>* lines) {
  if (before.empty() || before == after) return;
  const std::vector<std::string> old_lines = split(before, '\n'), new_lines = split(after, '\n');
  const std::multiset<std::string> old_set(old_lines.begin(), old_lines.end()),
      new_set(new_lines.begin(), new_lines.end());
  lines->push_back(fmt::format("The {} has changed since the snapshot:", what));
  for (const std::string& line : old_lines) {
    if (!new_set.count(line)) lines->push_back("  - " + trim(line));
  }
  for (const std::string& line : new_lines) {
    if (!old_set.count(line)) lines->push_back("  + " + trim(line));
  }
}

// States of earlier versions do not have the content: they resume without a line.
void list_data_changes(const std::map<std::string, Cursor>& before, const NetSession& net,
                       std::vector<std::string>* lines) {
  for (const auto& [layer, cursor] : net.position().cursors) {
    const auto found = before.find(layer);
    if (found == before.end() || found->second.content.empty() || found->second.content == cursor.content) continue;
    lines->push_back(fmt::format("The data of layer \"{}\" has changed since the snapshot: it was {}, it is {}", layer,
                                 printable(found->second.content), cursor.content));
  }
}

ManifestEntry listed(const AtomicFile& file, const std::string& manifest) {
  ManifestEntry entry = describe_file(file.temporary_path());
  const fs::path folder = fs::path(manifest).parent_path();
  std::error_code problem;
  entry.name = fs::relative(file.path(), folder.empty() ? "." : folder, problem).string();
  if (problem || entry.name.empty()) entry.name = file.path();
  return entry;
}

// A kill, a copy or another run of the same prefix can leave files of two snapshots side by side.
void check_manifest(const std::string& state_path) {
  const std::string manifest = manifest_path_of(state_path);
  if (manifest.empty()) return;
  const std::vector<std::string> problems = verify_manifest(manifest);
  if (!problems.empty())
    throw data_error(
        "{} and its weights are not as they were written: {}. Resume from another snapshot; where the change is "
        "meant, remove {}",
        state_path, fmt::join(problems, "; "), manifest);
}

// The files of each iteration's snapshot, of either format.
std::map<int, std::vector<fs::path>> find_snapshots(const std::string& snapshot_prefix) {
  const fs::path prefix = snapshot_prefix;
  const fs::path folder = prefix.has_parent_path() ? prefix.parent_path() : fs::path(".");
  const std::string stem = prefix.filename().string() + "_iter_";
  std::map<int, std::vector<fs::path>> found;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.compare(0, stem.size(), stem) != 0) continue;
    const size_t dot = name.find('.', stem.size());
    if (dot == std::string::npos) continue;
    const std::string number = name.substr(stem.size(), dot - stem.size());
    const std::string ending = name.substr(dot);
    if (number.empty() || number.find_first_not_of("0123456789") != std::string::npos || number.size() > 9) continue;
    if (ending.rfind(".caffemodel", 0) != 0 && ending.rfind(".solverstate", 0) != 0 && ending != ".manifest") continue;
    found[std::stoi(number)].push_back(entry.path());
  }
  return found;
}

}  // namespace

SnapshotPaths snapshot_paths(const caffe::SolverParameter& solver, int iteration) {
  const std::string base = fmt::format("{}_iter_{}", solver.snapshot_prefix(), iteration);
  const char* ending = hdf5(solver) ? ".h5" : "";
  return {base + ".caffemodel" + ending, base + ".solverstate" + ending, base + ".manifest"};
}

SnapshotPaths write_snapshot(const caffe::SolverParameter& solver, const LoopState& loop,
                             const std::vector<NetSession*>& train, const std::vector<NetPosition>& tests,
                             const DeviceSession& device_session) {
  const SnapshotPaths files = snapshot_paths(solver, loop.iteration);
  for (const std::string& path : {files.weights, files.state, files.manifest}) check_replaceable(path);
  const LoweredNet& net = train.front()->lowered();
  std::map<std::string, std::vector<float>> parameters;
  for (const ParameterInfo* parameter : owned_parameters(net))
    parameters[parameter->state] = device_session.store.read(parameter->state);
  require_finite(net, parameters);
  parameters.clear();
  AtomicFile weights_file(files.weights), state_file(files.state), manifest(files.manifest);
  save_weights(weights_file, hdf5(solver), solver.snapshot_diff(), net, device_session.store);

  caffe::SolverState state;
  state.set_iter(loop.iteration);
  state.set_learned_net(files.weights);
  state.set_current_step(loop.current_step);
  state.set_seed(loop.seed);
  const NetPosition position = train.front()->position();
  state.set_forward_passes(position.passes);
  add_cursors(position, train_net(0), &state);
  for (size_t rank = 0; rank < train.size(); ++rank) add_carried(train[rank]->position(), train_net(rank), &state);
  for (size_t i = 0; i < tests.size(); ++i) {
    add_cursors(tests[i], test_net(i), &state);
    add_carried(tests[i], test_net(i), &state);
    state.add_test_passes(tests[i].passes);
  }
  for (float loss : loop.losses) state.add_loss_window(loss);
  save_loss_scale(device_session.store, &state);
  state.set_resolved_solver(text_of(solver));
  state.set_resolved_net(net_text(net));

  std::map<std::string, std::vector<float>> values;
  std::vector<BlobRef> history;
  for (int h = 0; h < history_blobs(solver.type()); ++h) {
    for (const ParameterInfo* parameter : owned_parameters(net)) {
      const std::string name = UpdateRule::history_state(h, parameter->state);
      std::vector<float>& data = values[name];
      // Parameters that no update touches have a history of zeros.
      data = device_session.store.contains(name)
                 ? device_session.store.read(name)
                 : std::vector<float>(static_cast<size_t>(parameter->shape.count()), 0.0f);
      history.push_back({parameter->shape, data.data(), nullptr, false});
    }
  }
  if (hdf5(solver)) {
    write_solver_state_hdf5(state_file, state, history);
  } else {
    write_solver_state(state_file, state, history);
  }
  weights_file.finish();
  state_file.finish();
  write_manifest(manifest, {listed(weights_file, files.manifest), listed(state_file, files.manifest)});
  // Where older files are replaced and the process is killed between, the manifest does not fit the rest.
  AtomicFile::commit_together({&manifest, &weights_file, &state_file});
  return files;
}

uint64_t seed_of_snapshot(const std::string& path) { return read_solver_state(path).state.seed(); }

std::vector<std::string> restore_snapshot(const std::string& path, const caffe::SolverParameter& solver,
                                          LoopState* loop, const std::vector<NetSession*>& train,
                                          const std::vector<std::unique_ptr<NetSession>>& tests,
                                          DeviceSession& device_session) {
  std::vector<std::string> lines;
  NetSession& first = *train.front();
  const SolverStateFile file = read_solver_state(path);
  check_manifest(path);
  const caffe::SolverState& state = file.state;
  if (state.learned_net().empty())
    throw data_error(
        "{}: it does not name the weights that it was written with, and the training would start from fresh "
        "ones: the file is damaged, copy it again",
        path);
  const std::string model = find_model(path, state.learned_net());
  const std::vector<WeightMatch> matches = load_weights(model, first.lowered(), device_session.store);
  require_match(model, matches);
  lines.push_back(all_loaded(matches) ? fmt::format("Model from {}", model) : match_table(model, matches));
  restore_history(path, file, solver, first.lowered(), device_session);
  restore_loss_scale(path, state, device_session.store);
  loop->iteration = state.iter();
  loop->current_step = state.current_step();
  if (!state.has_seed()) {
    first.seek({static_cast<uint64_t>(state.iter()) * static_cast<uint64_t>(solver.iter_size()), {}, {}});
    lines.push_back(
        "The state does not tell where the data stood (Caffe does not save it): data starts from the beginning");
    return lines;
  }
  loop->seed = state.seed();
  loop->losses.assign(state.loss_window().begin(), state.loss_window().end());
  first.seek({state.forward_passes(), cursors_of(state, train_net(0)), carried_of(path, state, train_net(0))});
  for (size_t rank = 1; rank < train.size(); ++rank) {
    const NetPosition position{state.forward_passes(), {}, carried_of(path, state, train_net(rank))};
    train[rank]->seek(position);
    if (position.carried.empty() && !first.position().carried.empty())
      lines.push_back(
          fmt::format("The state is of fewer devices: what recurrent layers carry begins with zeros on device {} of {}",
                      rank + 1, train.size()));
  }
  if (!carried_of(path, state, train_net(train.size())).empty())
    lines.push_back(fmt::format(
        "The state is of more devices than {}: what recurrent layers carry on the others is left out", train.size()));
  for (size_t i = 0; i < tests.size() && static_cast<int>(i) < state.test_passes_size(); ++i)
    tests[i]->seek(
        {state.test_passes(static_cast<int>(i)), cursors_of(state, test_net(i)), carried_of(path, state, test_net(i))});
  list_data_changes(cursors_of(state, train_net(0)), first, &lines);
  for (size_t i = 0; i < tests.size(); ++i) list_data_changes(cursors_of(state, test_net(i)), *tests[i], &lines);
  list_changes("solver", state.resolved_solver(), text_of(solver), &lines);
  list_changes("net", state.resolved_net(), net_text(first.lowered()), &lines);
  return lines;
}

std::string check_replaced_snapshots(const caffe::SolverParameter& solver, int first, int last) {
  std::vector<int> replaced;
  for (const auto& [iteration, files] : find_snapshots(solver.snapshot_prefix())) {
    const bool periodic = solver.snapshot() > 0 && iteration % solver.snapshot() == 0 && iteration <= last;
    const bool final = solver.snapshot_after_train() && iteration == last;
    if (iteration <= first || !(periodic || final)) continue;
    const SnapshotPaths paths = snapshot_paths(solver, iteration);
    for (const std::string& path : {paths.weights, paths.state, paths.manifest}) check_replaceable(path);
    if (fs::exists(paths.weights) || fs::exists(paths.state)) replaced.push_back(iteration);
  }
  if (replaced.empty()) return "";
  const ptrdiff_t named = std::min(std::ssize(replaced), kNamed);
  return fmt::format("This run replaces snapshots of an earlier one: {}_iter_N for N = {}{}", solver.snapshot_prefix(),
                     fmt::join(replaced.begin(), replaced.begin() + named, ", "),
                     named < std::ssize(replaced) ? ", ..." : "");
}

void prune_snapshots(const caffe::SolverParameter& solver, int iteration) {
  if (solver.keep_snapshots() <= 0) return;
  const std::map<int, std::vector<fs::path>> found = find_snapshots(solver.snapshot_prefix());
  int kept = 0;
  std::error_code ignored;
  for (auto it = found.rbegin(); it != found.rend(); ++it) {
    if (it->first > iteration || ++kept <= solver.keep_snapshots()) continue;
    for (const fs::path& path : it->second) fs::remove(path, ignored);
  }
}

}  // namespace trainer
