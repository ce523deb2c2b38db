// Writes and restores snapshots.
#include "train/snapshot.h"

#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "formats/atomic_file.h"
#include "formats/manifest.h"
#include "hub/weight_names.h"
#include "report/log.h"
#include "session/loss_scale.h"
#include "session/state_names.h"
#include "train/plateau.h"
#include "train/solver_rules.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

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

void require_finite(const LoweredNet& net, const StateStore& store) {
  for (const ParameterInfo* parameter : owned_parameters(net)) {
    const std::vector<float> data = store.read(parameter->state);
    if (std::all_of(data.begin(), data.end(), [](float x) { return std::isfinite(x); })) continue;
    throw Error(ExitCode::kDiverged,
                fmt::format("parameter {} of net \"{}\" is not finite: no snapshot is written, the last one is kept",
                            parameter->state, net.name));
  }
}

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
      const std::string state = history_state(static_cast<int>(h), owned[i]->state);
      if (device_session.store.contains(state)) device_session.store.write(state, blob.data.data());
    }
  }
}

using Note = std::function<void(const std::string&)>;

// Notes the lines that only one of the texts has, in diff style. Returns whether there are any.
bool note_changes(const std::string& what, const std::string& before, const std::string& after, const Note& note) {
  if (before.empty() || before == after) return false;
  const std::vector<std::string> old_lines = split(before, '\n'), new_lines = split(after, '\n');
  const std::multiset<std::string> old_set(old_lines.begin(), old_lines.end()),
      new_set(new_lines.begin(), new_lines.end());
  note(fmt::format("The {} has changed since the snapshot:", what));
  for (const std::string& line : old_lines) {
    if (!new_set.count(line)) note("  - " + trim(line));
  }
  for (const std::string& line : new_lines) {
    if (!old_set.count(line)) note("  + " + trim(line));
  }
  return true;
}

// A line for each data set that has changed, if the state has the content of the data sets.
void note_data_changes(const std::map<std::string, Cursor>& before, const NetSession& net, const Note& note) {
  for (const auto& [layer, cursor] : net.data().cursors()) {
    const auto found = before.find(layer);
    if (found == before.end() || found->second.content.empty() || found->second.content == cursor.content) continue;
    // States of earlier versions have no digest.
    if (cursor.content.starts_with(found->second.content + ", digest ")) continue;
    note(fmt::format("The data of layer \"{}\" has changed since the snapshot: it was {}, it is {}", layer,
                     printable(found->second.content), cursor.content));
  }
}

// `path` as seen from the folder of `file`.
std::string seen_from(const std::string& file, const std::string& path) {
  const fs::path folder = fs::path(file).parent_path();
  std::error_code problem;
  const std::string relative = fs::relative(path, folder.empty() ? "." : folder, problem).string();
  return problem || relative.empty() ? path : relative;
}

ManifestEntry listed(const AtomicFile& file, const std::string& manifest) {
  ManifestEntry entry = describe_file(file.temporary_path());
  entry.name = seen_from(manifest, file.path());
  return entry;
}

// The progress of best, unless the solver compares another metric than the one that wrote the state.
caffe::BestState best_of(const caffe::SolverState& state, const caffe::SolverParameter& solver, const Note& note) {
  const google::protobuf::LogSilencer silent;
  caffe::SolverParameter before;
  if (!solver.has_best() || !state.has_best()) return {};
  const bool same = google::protobuf::TextFormat::ParseFromString(state.resolved_solver(), &before) &&
                    text_of(before.best()) == text_of(solver.best());
  if (!same) {
    note("The metric of best has changed since the snapshot: the search for the best weights starts over");
    return {};
  }
  if (state.best().has_value())
    note(fmt::format("The best {} up to this snapshot is {}, of iteration {}", solver.best().metric(),
                     log_number(state.best().value()), state.best().iter()));
  return state.best();
}

// What is different because another number of devices trains. Each record is still read once in an epoch.
void note_devices(const caffe::SolverState& state, const NetSession& net, int devices, const Note& note) {
  const int before = state.has_devices() ? static_cast<int>(state.devices()) : 1;
  if (before != devices)
    note(
        fmt::format("The snapshot is of a training on {} device{}, this one has {}: an iteration has {} images instead "
                    "of {} for each pass",
                    before, before == 1 ? "" : "s", devices, format_count(net.batch_size() * devices),
                    format_count(net.batch_size() * before)));
  if (!has_carried(state, 0)) return;
  for (int device = 1; device < devices; ++device) {
    if (!has_carried(state, device))
      note(fmt::format(
          "The state is from fewer devices: carried states of recurrent layers start with zeros on device {} of {}",
          device + 1, devices));
  }
  if (has_carried(state, devices))
    note(fmt::format("The state is from more devices than {}: carried states of the others are ignored", devices));
}

// A killed process, a copy or another run of the same prefix can leave files of two snapshots side by side.
void check_manifest(const std::string& state_path) {
  const std::string manifest = manifest_path_of(state_path);
  if (manifest.empty()) return;
  const std::vector<std::string> problems = verify_manifest(manifest);
  if (!problems.empty())
    throw data_error(
        "{} and its weights differ from their manifest: {}. Resume from another snapshot; if the change is intended, "
        "remove {}",
        state_path, fmt::join(problems, "; "), manifest);
}

}  // namespace

SnapshotPaths write_snapshot(const caffe::SolverParameter& solver, const LoopState& loop,
                             const std::vector<NetSession*>& train, const std::vector<NetPosition>& tests,
                             const DeviceSession& device_session, WeightAverage* average,
                             const std::vector<caffe::SolverState>& others) {
  const SnapshotPaths files = snapshot_paths(solver, loop.iteration);
  for (const std::string& path : files.all()) check_replaceable(path);
  const WeightsInUse trained(average, WeightsInUse::kTrained);
  const LoweredNet& net = train.front()->lowered();
  require_finite(net, device_session.store);
  AtomicFile weights_file(files.weights), state_file(files.state), manifest(files.manifest);
  std::optional<AtomicFile> average_file;
  const auto save = [&](AtomicFile& file, bool diff) {
    save_weights(file, is_hdf5(solver), diff, net, train.front()->notes(), device_session.store);
  };
  save(weights_file, solver.snapshot_diff());
  if (average != nullptr) {
    const WeightsInUse averaged(average, WeightsInUse::kAverage);
    save(average_file.emplace(files.average), false);
  }

  caffe::SolverState state = progress_of(loop, train, tests, device_session);
  for (const caffe::SolverState& other : others) state.mutable_states()->MergeFrom(other.states());
  if (!is_plateau(solver)) state.clear_plateau();
  if (!solver.has_best()) state.clear_best();
  if (!solver.has_divergence()) state.clear_retries();
  if (!loop.run_folder.empty()) state.set_run_folder(seen_from(files.state, loop.run_folder));
  state.set_learned_net(files.weights);
  if (average != nullptr) state.set_average_net(files.average);
  save_loss_scale(device_session.store, &state);
  state.set_resolved_solver(text_of(solver));
  state.set_resolved_net(net_text(net));

  std::map<std::string, std::vector<float>> values;
  std::vector<BlobRef> history;
  for (int h = 0; h < history_blobs(solver.type()); ++h) {
    for (const ParameterInfo* parameter : owned_parameters(net)) {
      const std::string name = history_state(h, parameter->state);
      std::vector<float>& data = values[name];
      // The history of parameters that are not trained is zero.
      data = device_session.store.contains(name)
                 ? device_session.store.read(name)
                 : std::vector<float>(static_cast<size_t>(parameter->shape.count()), 0.0f);
      history.push_back({parameter->shape, data.data(), nullptr, false});
    }
  }
  if (is_hdf5(solver)) {
    write_solver_state_hdf5(state_file, state, history);
  } else {
    write_solver_state(state_file, state, history);
  }
  std::vector<AtomicFile*> written = {&weights_file};
  if (average_file) written.push_back(&*average_file);
  written.push_back(&state_file);
  std::vector<ManifestEntry> entries;
  for (AtomicFile* file : written) {
    file->finish();
    entries.push_back(listed(*file, files.manifest));
  }
  write_manifest(manifest, entries);
  // The manifest comes first: if the process is killed while older files are replaced, the check of the manifest fails.
  written.insert(written.begin(), &manifest);
  AtomicFile::commit_together(written);
  return files;
}

std::string write_best(const caffe::SolverParameter& solver, const NetSession& train,
                       const DeviceSession& device_session) {
  require_finite(train.lowered(), device_session.store);
  AtomicFile file(best_path(solver));
  save_weights(file, is_hdf5(solver), false, train.lowered(), train.notes(), device_session.store);
  file.commit();
  return best_path(solver);
}

StoredSnapshot read_snapshot(const std::string& path) {
  StoredSnapshot snapshot;
  snapshot.state = read_solver_state(path);
  check_manifest(path);
  const std::string& recorded = snapshot.state.state.learned_net();
  if (recorded.empty())
    throw data_error(
        "{}: it does not name its weights, so the training cannot resume: the file is damaged, copy it again", path);
  snapshot.weights_path = find_model(path, recorded);
  snapshot.weights = read_weights_of(snapshot.weights_path);
  return snapshot;
}

std::pair<std::string, WeightFile> read_average(const std::string& path, const caffe::SolverState& state) {
  const std::string averaged = find_model(path, state.average_net());
  return {averaged, read_weights_of(averaged)};
}

bool restore_snapshot(const std::string& path, const caffe::SolverParameter& solver, LoopState* loop,
                      const std::vector<NetSession*>& train, const std::vector<std::unique_ptr<NetSession>>& tests,
                      DeviceSession& device_session, WeightAverage* average, const Note& note,
                      caffe::SolverState* carried) {
  NetSession& first = *train.front();
  const auto [file, model, weights] = read_snapshot(path);
  const caffe::SolverState& state = file.state;
  if (average != nullptr && state.has_average_net()) {
    // The average takes the way of the weights into the store.
    const auto [averaged, values] = read_average(path, state);
    require_match(averaged, load_weights(values, first.lowered(), device_session.store));
    average->start();
    note(fmt::format("Average from {}", averaged));
  }
  const std::vector<WeightMatch> matches = load_weights(weights, first.lowered(), device_session.store);
  require_match(model, matches);
  note(all_loaded(matches) ? fmt::format("Model from {}", model) : match_table(model, matches));
  const std::string renamed =
      class_difference(weights.notes.class_names, model, first.data().class_names(), "the data");
  if (!renamed.empty()) log_warning("The classes have changed since the snapshot: " + renamed);
  first.add_notes(weights.notes);
  if (average != nullptr && !state.has_average_net()) {
    average->start();
    note("The state has no average of the weights: the average starts from the weights");
  }
  restore_history(path, file, solver, first.lowered(), device_session);
  restore_loss_scale(path, state, device_session.store);
  *carried->mutable_states() = state.states();
  const uint64_t drawn = loop->seed;
  continue_from(path, state, loop, train, tests, device_session);
  loop->best = best_of(state, solver, note);
  if (state.has_run_folder()) loop->run_folder = (fs::path(path).parent_path() / state.run_folder()).string();
  if (!state.has_seed()) {
    loop->seed = drawn;
    first.seek({static_cast<uint64_t>(state.iter()) * static_cast<uint64_t>(solver.iter_size()), {}, {}});
    note("The state has no data positions (Caffe does not save them): data starts from the beginning");
    return false;
  }
  note_devices(state, first, device_session.world, note);
  note_data_changes(train_cursors(state), first, note);
  for (size_t i = 0; i < tests.size(); ++i) note_data_changes(test_cursors(state, i), *tests[i], note);
  const bool changed = note_changes("solver", state.resolved_solver(), text_of(solver), note);
  note_changes("net", state.resolved_net(), net_text(first.lowered()), note);
  return !changed;
}

}  // namespace trainer
