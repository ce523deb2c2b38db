// Loads the states of a run and reports what it starts from.
#include "train/start.h"

#include <google/protobuf/text_format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/text.h"
#include "formats/atomic_file.h"
#include "hub/weight_names.h"
#include "report/log.h"
#include "report/run_folder.h"
#include "session/class_names.h"
#include "session/evaluate.h"
#include "session/state_names.h"
#include "train/memory_plan.h"
#include "train/saved_states.h"

namespace trainer {
namespace {

namespace fs = std::filesystem;

// A note on the steps without a fast implementation and their share of the operations; "" for none.
std::string slow_steps(const Program& program, const LoweredNet& net) {
  double total = 0, slow = 0;
  std::string first;
  for (const Step& step : program.steps) {
    total += step.operations;
    if (step.implementation != "reference" || step.op.kind == OpKind::kOpaque) continue;
    slow += step.operations;
    if (!first.empty() || step.op.shares.empty() || step.op.shares.front().layer < 0) continue;
    first = fmt::format("{} of layer \"{}\"", name_of(step.op.kind),
                        net.layers[static_cast<size_t>(step.op.shares.front().layer)].param->name());
    if (!step.refused.empty())
      first += fmt::format(" ({}: {})", step.refused.front().implementation, step.refused.front().reason);
  }
  if (first.empty()) return "";
  return fmt::format("Plain reference implementations run {:.1f}% of the operations, first {}; see summary --plan",
                     total > 0 ? 100 * slow / total : 0, first);
}

// The prefix of the snapshots that a run folder belongs to, if it is another one than `prefix`; "" if snapshots were
// moved here, or if the report does not say.
std::string other_owner(const std::string& folder, const fs::path& prefix) {
  const fs::path owner = prefix_of_report(folder);
  if (owner.empty() || find_snapshots(owner.string()).empty()) return "";
  const auto folder_of = [](const fs::path& path) {
    return path.has_parent_path() ? path.parent_path() : fs::path(".");
  };
  std::error_code ignored;
  const bool same =
      owner.filename() == prefix.filename() && fs::equivalent(folder_of(owner), folder_of(prefix), ignored);
  return same ? "" : owner.string();
}

}  // namespace

TrainingStart::TrainingStart(TrainingState& state, const TrainingOptions& options, bool writes, RunReport& report)
    : state_(state), options_(options), report_(report) {
  report_.note(fmt::format("random_seed: {}", state_.loop.seed));
  const bool first = state_.is_first_process();
  if (writes && first) lock_snapshots();
  if (options_.saved != nullptr) {
    restore_states(*options_.saved, &state_);
  } else if (first) {
    load_weight_files();
    resume();
  }
  // Processes that meet again keep their carried states.
  if (state_.group() != nullptr)
    share_states(*state_.group(), state_.furthest, &state_, options_.saved == nullptr ? &carried_ : nullptr);
  copy_to_other_devices(state_);
  state_.enter(state_.loop.iteration);
  if (first) find_run_folder();
  if (state_.group() != nullptr) complete_ = state_.group()->broadcast_text(complete_ ? "1" : "0", 0) == "1";
  if (complete_) return;
  warn();
  note_processes();
  for (const std::string& line : describe_epochs(state_.epoch, state_.solver)) report_.note(line);
  note_tests();
  note_trained();
  note_plan();
}

void TrainingStart::lock_snapshots() {
  if (!state_.writes_files()) return;
  try {
    lock_.emplace(state_.solver.snapshot_prefix());
  } catch (const Error& error) {
    if (options_.saved == nullptr) throw;
    // A lost process that hangs still has the lock. It writes nothing when it wakes up.
    report_.warning(fmt::format("{}\nThe training continues: a lost process still holds the lock", error.what()));
  }
  for (const char* ending : {"_iter_", "_best."})
    remove_abandoned_temporaries(state_.solver.snapshot_prefix() + ending);
}

void TrainingStart::load_weight_files() {
  StateStore& store = state_.session().store;
  WeightMatching matching = options_.matching;
  matching.fresh = {state_.solver.fresh().begin(), state_.solver.fresh().end()};
  for (const std::string& path : options_.weights) {
    const WeightFile file = read_weights_of(path);
    const std::vector<WeightMatch> matches = load_weights(file, state_.train_net().lowered(), store, matching);
    require_match(path, matches);
    report_.note(match_table(path, matches));
    for (const WeightMatch& match : matches)
      if (match.kind == WeightMatch::kLoaded) layers_loaded_.insert(match.layer);
    const std::string prepared = picture_difference(file.notes, path, state_.train_net().notes());
    if (!prepared.empty()) log_warning(prepared);
    // A net with layers of its own may learn other classes.
    if (all_loaded(matches)) {
      const ClassNames learned = state_.train_net().data().class_names();
      const std::string renamed = class_difference(file.notes.class_names, path, learned, "the data");
      if (!renamed.empty()) log_warning("The net learned other classes: " + renamed);
      state_.train_net().add_notes(file.notes);
    }
    for (const auto& test : state_.tests) {
      if (matching.by_order) break;  // the order is that of the training net
      for (const WeightMatch& match : load_weights(file, test->lowered(), store, matching))
        if (match.kind == WeightMatch::kLoaded) test_layers_loaded_.insert(match.layer);
    }
  }
}

void TrainingStart::resume() {
  if (!options_.snapshot.empty()) {
    report_.note("Resuming from " + options_.snapshot);
    same_solver_ = restore_snapshot(
        options_.snapshot, state_.solver, &state_.loop, state_.train_nets(), state_.tests, state_.session(),
        state_.average.get(), [this](const std::string& line) { report_.note(line); }, &carried_);
  } else if (state_.average) {
    state_.average->start();
  }
  std::error_code ignored;
  if (state_.loop.best.has_value() && !fs::exists(best_path(state_.solver), ignored))
    report_.warning(
        fmt::format("{} does not exist: it will be written when a test is better", best_path(state_.solver)));
  if (state_.solver.has_best() && options_.snapshot.empty() && fs::exists(best_path(state_.solver), ignored))
    report_.warning(fmt::format("This run replaces {} of an earlier one", best_path(state_.solver)));
  if (!writes_snapshots(state_.solver)) return;
  const std::string replaced = check_replaced_snapshots(state_.solver, state_.snapshot_interval(),
                                                        state_.loop.iteration, state_.solver.max_iter());
  if (!replaced.empty()) report_.note(replaced);
}

// Finds the folder of the run that continues, and whether the run was complete.
void TrainingStart::find_run_folder() {
  const std::string recorded = std::exchange(state_.loop.run_folder, "");
  if (options_.continues_run) find_recorded_folder(recorded);
  if (complete_ || !(options_.continues_run || options_.restarts_run)) return;
  std::error_code ignored;
  const bool continues =
      !folder_.empty() && (options_.new_run_folder || fs::equivalent(folder_, options_.run_folder, ignored));
  if (!continues) find_unsaved_folder();
}

void TrainingStart::find_recorded_folder(const std::string& recorded) {
  const int iteration = state_.loop.iteration;
  const bool trained = iteration >= state_.solver.max_iter();
  complete_ = (trained || same_solver_) && !recorded.empty() && is_complete_report(recorded, iteration);
  if (complete_)
    report_.note(
        fmt::format("This training is complete: it ended at iteration {}, and its report is in {}. Nothing is "
                    "left to train",
                    iteration, recorded));
  else if (trained)
    report_.note(
        fmt::format("The training has reached its end, iteration {}: only the last tests are repeated", iteration));
  if (recorded.empty()) return;
  std::error_code ignored;
  const std::string owner = other_owner(recorded, state_.solver.snapshot_prefix());
  if (!fs::is_directory(recorded, ignored) || access(recorded.c_str(), W_OK | X_OK) != 0)
    report_.note(fmt::format("The run folder {} cannot be continued: it is gone or write-protected", recorded));
  else if (options_.new_run_folder && !owner.empty())
    report_.note(fmt::format("The run folder {} is that of the snapshots of {}: the report of this run starts over",
                             recorded, owner));
  else
    folder_ = recorded;
}

// Finds the folder that this run began, if it was killed before its first snapshot there.
void TrainingStart::find_unsaved_folder() {
  const std::string folder =
      options_.new_run_folder ? newest_run_folder(state_.solver.snapshot_prefix()) : options_.run_folder;
  std::error_code ignored;
  if (!fs::is_directory(folder, ignored) || (!options_.new_run_folder && fs::is_empty(folder, ignored))) return;
  if (!is_unsaved_run(folder, options_.command_line)) return;
  folder_ = folder;
  unsaved_ = true;
  report_.note(
      fmt::format("The report in {} is of a run that was killed before its first snapshot: it starts over", folder));
}

// The layers of test nets whose learned blobs the training net lacks.
std::set<std::string> TrainingStart::untrained_layers() const {
  std::set<std::string> trained, layers;
  for (const ParameterInfo& parameter : state_.train_net().lowered().parameters) trained.insert(parameter.state);
  for (const auto& test : state_.tests) {
    for (const ParameterInfo& parameter : test->lowered().parameters)
      if (parameter.owner && parameter.lr_mult != 0 && trained.count(parameter.state) == 0)
        layers.insert(test->lowered().layers[static_cast<size_t>(parameter.layer)].param->name());
  }
  return layers;
}

// The frozen layers of which no weights were loaded.
std::vector<std::string> TrainingStart::untrained_frozen_layers() const {
  std::vector<std::string> layers;
  if (!options_.snapshot.empty()) return layers;
  const LoweredNet& net = state_.train_net().lowered();
  const std::set<std::string> frozen = state_.freezing.frozen(net, 0);
  for (const ParameterInfo& parameter : net.parameters) {
    const std::string& layer = net.layers[static_cast<size_t>(parameter.layer)].param->name();
    if (!parameter.owner || frozen.count(parameter.state) == 0 || layers_loaded_.count(layer) != 0) continue;
    if (layers.empty() || layers.back() != layer) layers.push_back(layer);
  }
  return layers;
}

void TrainingStart::warn() const {
  const LoweredNet& train = state_.train_net().lowered();
  std::string warnings = state_.train_net().warnings();
  for (const auto& test : state_.tests) warnings += test->warnings();
  for (const std::string& layer : untrained_layers()) {
    if (test_layers_loaded_.count(layer) == 0)
      warnings += fmt::format(
          "warning: a test net has a layer \"{}\" that the training net lacks: the test uses the values of its "
          "fillers. Is the name right?\n",
          layer);
  }
  if (const std::vector<std::string> frozen = untrained_frozen_layers(); !frozen.empty())
    warnings +=
        fmt::format("warning: no weights are loaded into frozen layers: {}. They keep the values of their fillers\n",
                    list_of(frozen));
  for (const auto& test : state_.tests) {
    const std::string mixing = test->reads_whole_epochs() ? mixing_warning(test->lowered()) : "";
    if (!mixing.empty()) warnings += fmt::format("warning: {}\n", mixing);
  }
  // Those of a solver without epochs are known before its nets are opened.
  if (first_epoch_field(state_.solver) != nullptr) {
    for (const FieldProblem& doubt : doubt_schedule(state_.solver))
      warnings += fmt::format("warning: {}\n", doubt.text);
  }
  if (trained_parameters(train).empty())
    warnings += "warning: the net has no parameter to train (lr_mult is 0 everywhere, or no layer has any)\n";
  if (!train.loss) warnings += "warning: the net has no loss: nothing will be learned\n";
  if (!warnings.empty()) report_.warning(trim(warnings));
}

// Of several processes.
void TrainingStart::note_processes() const {
  const Group* const group = state_.group();
  if (group == nullptr) return;
  std::vector<std::pair<std::string, int>> hosts;
  for (const Member& member : group->members()) {
    const auto known = std::find_if(hosts.begin(), hosts.end(), [&](const auto& h) { return h.first == member.host; });
    if (known == hosts.end()) {
      hosts.emplace_back(member.host, 1);
    } else {
      ++known->second;
    }
  }
  std::vector<std::string> parts;
  for (const auto& [host, processes] : hosts) parts.push_back(fmt::format("{} on {}", processes, host));
  report_.note(
      fmt::format("{} processes train together: {}. An iteration has {} images: {} on each of {} devices{}",
                  group->size(), list_of(parts), format_count(state_.images_per_iteration()),
                  format_count(state_.images_per_iteration() / state_.devices()), state_.devices(),
                  state_.solver.iter_size() > 1 ? fmt::format(", in {} passes", state_.solver.iter_size()) : ""));
  if (options_.saved == nullptr) return;
  report_.note(fmt::format("The training continues from iteration {}", format_count(state_.loop.iteration)));
  if (!options_.saved->carried.empty() && !options_.saved->carried.front().empty())
    report_.note(
        "The carried states of recurrent layers on lost processes are gone; on processes that return they start at "
        "zero");
}

// Of tests that read whole data sets.
void TrainingStart::note_tests() const {
  if (state_.solver.test_epochs() == 0) return;
  for (size_t i = 0; i < state_.tests.size(); ++i) {
    const DataLayers& data = state_.tests[i]->data();
    report_.note(fmt::format("A test of net #{} reads all {} records, in {} batches.", i,
                             format_count(data.records_per_epoch()),
                             format_count(data.batches_per_epoch() * state_.solver.test_epochs())));
  }
}

// Of a training that does not train all parameters from here on.
void TrainingStart::note_trained() const {
  const LoweredNet& net = state_.train_net().lowered();
  int64_t all = 0;
  for (const ParameterInfo& parameter : net.parameters) {
    if (parameter.owner && !parameter.statistic) all += parameter.shape.count();
  }
  const auto learning = [&](int iteration) { return count_of(state_.freezing.learning(net, iteration)); };
  const int64_t trained = learning(state_.loop.iteration);
  if (trained == all) return;
  std::string line = fmt::format("Trained parameters: {} of {}", format_count(trained), format_count(all));
  for (int stage : state_.freezing.stages()) {
    if (stage > state_.loop.iteration)
      line += fmt::format(", from iteration {} on {}", format_count(stage), format_count(learning(stage)));
  }
  report_.note(line);
}

void TrainingStart::note_plan() const {
  const std::shared_ptr<const Program> program = state_.train_net().program(ProgramKind::kTrain);
  report_.note(fmt::format("Planned memory: {}", format_bytes(plan_memory(state_).total())));
  for (const std::string& line : {repeated_text(*program), slow_steps(*program, state_.train_net().lowered())}) {
    if (!line.empty()) report_.note(line);
  }
}

RunInfo TrainingStart::run_info() const {
  const caffe::SolverParameter& solver = state_.solver;
  const DataLayers& data = state_.train_net().data();
  RunInfo info;
  info.net_name = state_.files.train.net->name();
  info.solver_type = solver.type();
  for (const Rank& rank : state_.ranks)
    info.device += (info.device.empty() ? "" : ", ") + rank.session().device->name();
  if (state_.session().precision != Precision::kFP32)
    info.device += fmt::format(", {}", name_of(state_.session().precision));
  info.command_line = options_.command_line;
  google::protobuf::TextFormat::PrintToString(*state_.files.train.net, &info.net_text);
  if (!state_.files.tests.empty())
    google::protobuf::TextFormat::PrintToString(*state_.files.tests.front().net, &info.test_net_text);
  google::protobuf::TextFormat::PrintToString(without_epochs(solver), &info.solver_text);
  info.class_names = state_.train_net().class_names();
  if (!state_.is_first_process() || !options_.new_run_folder)
    info.folder = options_.run_folder;
  else
    info.folder = folder_.empty() ? make_run_folder(solver.snapshot_prefix()) : folder_;
  info.snapshot_prefix = solver.snapshot_prefix();
  std::error_code ignored;
  if (unsaved_) {
    info.continued.emplace();
  } else if (!folder_.empty() && fs::equivalent(info.folder, folder_, ignored)) {
    const SnapshotPaths paths = snapshot_paths(solver, state_.loop.iteration);
    info.continued = {state_.loop.iteration, paths.weights, options_.snapshot, is_hdf5(solver), paths.average};
  }
  info.first_iteration = state_.loop.iteration;
  info.retries = state_.loop.retries;
  info.max_iteration = solver.max_iter();
  info.display = solver.display();
  info.images_per_iteration = state_.images_per_iteration();
  info.images_per_epoch = data.records_per_epoch();
  return info;
}

}  // namespace trainer
