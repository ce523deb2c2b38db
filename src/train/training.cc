// The training loop.
#include "train/training.h"

#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "formats/atomic_file.h"
#include "formats/prefix_lock.h"
#include "report/run_folder.h"
#include "session/check_nets.h"
#include "session/evaluate.h"
#include "train/learning_rate.h"

namespace trainer {
Training::Training(TrainingFiles files, const TrainingOptions& options)
    : files_(std::move(files)),
      options_(options),
      ranks_(open_ranks(options)),
      device_session_(ranks_.front()->device_session) {
  const caffe::SolverParameter& solver = *files_.solver;
  if (!options.snapshot.empty()) loop_.seed = seed_of_snapshot(options.snapshot);
  if (loop_.seed != 0 && files_.seed_drawn) files_.solver->set_random_seed(static_cast<int64_t>(loop_.seed));
  if (loop_.seed == 0) loop_.seed = static_cast<uint64_t>(solver.random_seed());
  if (files_.train.net->layer_size() == 0)
    throw config_error("the net \"{}\" has no layers in phase TRAIN: nothing can be trained", files_.train.net->name());
  NetProblems problems;
  for (const auto& rank : ranks_) {
    problems.collect([&] {
      rank->net = std::make_unique<NetSession>(*files_.train.net, *files_.train.positions, caffe::TRAIN, loop_.seed,
                                               rank->device_session);
    });
  }
  for (const FilteredNet& test : files_.tests) {
    problems.collect([&] {
      tests_.push_back(
          std::make_unique<NetSession>(*test.net, *test.positions, caffe::TEST, loop_.seed, device_session_));
    });
  }
  problems.throw_if_any();
  train_ = ranks_.front()->net.get();
  // Before memory is taken for parameters that no snapshot could hold.
  if (writes_snapshots()) {
    check_writable_prefix(solver.snapshot_prefix());
    check_snapshot();
  }
  if (!options.plans_only) check_states();
  for (const auto& rank : ranks_) add_parameters(rank->net->lowered(), loop_.seed, true, rank->device_session.store);
  for (const auto& test : tests_) add_parameters(test->lowered(), loop_.seed, false, device_session_.store);
  for (const auto& rank : ranks_)
    rank->update = std::make_unique<UpdateRule>(solver, trained_parameters(rank->net->lowered()), rank->device_session);
  sum_gradients();
  if (solver.max_epochs() > 0) {
    const int64_t records = train_->data().records_per_epoch();
    const int64_t step = images_per_iteration();
    if (records <= 0)
      throw config_error(
          "max_epochs is set, but the net \"{}\" reads no data set whose records could be counted; "
          "set max_iter instead",
          files_.train.net->name());
    files_.solver->set_max_iter(static_cast<int>((records * solver.max_epochs() + step - 1) / step));
  }
  for (const auto& rank : ranks_) {
    rank->device_session.limit_memory(options.memory, buffer_bytes());
    rank->net->program(ProgramKind::kTrain);
    if (solver.iter_size() > 1) rank->net->program(ProgramKind::kAccumulate);
  }
  for (const auto& test : tests_) test->program(ProgramKind::kForward);
  if (!options.plans_only) check_memory();
}

Training::~Training() = default;

// The host's system gives out memory that it does not have and ends a process that touches it: what is surely too much
// is refused before the first parameter is filled, which is made as a copy.
void Training::check_states() const {
  Device& device = *device_session_.device;
  if (!device.is_host()) return;
  const auto size = [](const ParameterInfo& parameter) { return parameter.shape.count() * size_of(DType::kF32); };
  int64_t bytes = 0, largest = 0;
  for (const ParameterInfo& parameter : train_->lowered().parameters) {
    if (parameter.owner) bytes += size(parameter);
    largest = std::max(largest, size(parameter));
  }
  for (const ParameterInfo* parameter : trained_parameters(train_->lowered()))
    bytes += size(*parameter) * (1 + history_blobs(files_.solver->type()));
  if (bytes + largest > ranks_.front()->free)
    throw OutOfMemory::make(device.name(), bytes + largest, ranks_.front()->free);
}

void Training::check_memory() const {
  for (const auto& rank : ranks_) {
    Device& device = *rank->device_session.device;
    const int64_t total = rank->device_session.arena.bytes() + rank->device_session.store.bytes() + buffer_bytes();
    if (device.is_host() && total > rank->free) throw OutOfMemory::make(device.name(), total, rank->free);
    const int64_t left = device.free_memory() - buffer_bytes();
    if (!device.is_host() && static_cast<double>(left) < (1 - MemoryPlan::kUsable) * static_cast<double>(rank->free))
      throw OutOfMemory::make(device.name(), buffer_bytes(), device.free_memory());
  }
}

std::vector<std::unique_ptr<Training::Rank>> Training::open_ranks(const TrainingOptions& options) {
  std::vector<std::unique_ptr<Rank>> ranks;
  for (const std::string& device : options.devices) {
    ranks.push_back(std::make_unique<Rank>(options.plans_only ? "plan:" + device : device, options));
    ranks.back()->device_session.rank = static_cast<int>(ranks.size()) - 1;
    ranks.back()->device_session.world = static_cast<int>(options.devices.size());
  }
  return ranks;
}

void Training::sum_gradients() {
  if (ranks_.size() == 1) return;
  std::vector<DeviceSession*> device_sessions;
  for (const auto& rank : ranks_) device_sessions.push_back(&rank->device_session);
  std::vector<std::string> gradients;
  for (const ParameterInfo* parameter : trained_parameters(train_->lowered()))
    gradients.push_back("gradients/" + parameter->state);
  if (gradients.empty()) return;
  sums_ = std::make_unique<GradientSums>(device_sessions, gradients);
  for (DeviceSession* device_session : device_sessions) device_session->sums = sums_.get();
}

std::vector<NetSession*> Training::train_nets() const {
  std::vector<NetSession*> nets;
  for (const auto& rank : ranks_) nets.push_back(rank->net.get());
  return nets;
}

// What was loaded on the first rank, to the others; what recurrent layers carry is each rank's own.
void Training::copy_states() {
  for (size_t i = 1; i < ranks_.size(); ++i) {
    StateStore& store = ranks_[i]->device_session.store;
    for (const std::string& name : device_session_.store.names()) {
      if (store.contains(name) && name.rfind("carried/", 0) != 0)
        store.write(name, device_session_.store.read(name).data());
    }
    NetPosition position = train_->position();
    position.carried.clear();
    ranks_[i]->net->seek(position);
  }
}

int64_t Training::images_per_iteration() const {
  return train_->batch_size() * files_.solver->iter_size() * static_cast<int64_t>(ranks_.size());
}

// Binary files end at 2 GiB, and HDF5 cannot keep every name: better told before the first iteration than at the first
// snapshot.
void Training::check_snapshot() const {
  const caffe::SolverParameter& solver = *files_.solver;
  const SnapshotPaths paths = snapshot_paths(solver, 0);
  if (solver.snapshot_format() == caffe::SolverParameter_SnapshotFormat_HDF5) {
    std::vector<Hdf5LayerName> names;
    const LoweredNet& net = train_->lowered();
    for (const CaffeLayer& layer : caffe_layers(net))
      names.push_back(
          {layer.name, layer.source < 0 ? 0 : net.layers[static_cast<size_t>(layer.source)].parameters.size()});
    check_hdf5_names(paths.weights, names);
    return;
  }
  int64_t weights = 0, history = 0;
  for (const ParameterInfo& parameter : train_->lowered().parameters) {
    const int64_t bytes = parameter.shape.count() * size_of(DType::kF32);
    weights += solver.snapshot_diff() ? 2 * bytes : bytes;
    if (parameter.owner) history += bytes * history_blobs(solver.type());
  }
  check_binary_size(weights, paths.weights);
  check_binary_size(history, paths.state);
}

// Steps that no fast implementation takes, with their share of the work; "" where there are none.
std::string Training::slow_steps() {
  const Program& program = train_->program(ProgramKind::kTrain);
  double total = 0, slow = 0;
  std::string first;
  for (const Step& step : program.steps) {
    total += step.operations;
    if (step.implementation != "reference" || step.op.kind == OpKind::kOpaque) continue;
    slow += step.operations;
    if (!first.empty() || step.op.shares.empty() || step.op.shares.front().layer < 0) continue;
    first = fmt::format("{} of layer \"{}\"", name_of(step.op.kind),
                        train_->lowered().layers[static_cast<size_t>(step.op.shares.front().layer)].param->name());
    if (!step.refused.empty())
      first += fmt::format(" ({}: {})", step.refused.front().implementation, step.refused.front().reason);
  }
  if (first.empty()) return "";
  return fmt::format("Plain reference implementations run {:.1f}% of the operations, first {}; see summary --plan",
                     total > 0 ? 100 * slow / total : 0, first);
}

// Layers of test nets with learned blobs that are none of the training net's.
std::set<std::string> Training::untrained_layers() const {
  std::set<std::string> trained, layers;
  for (const ParameterInfo& parameter : train_->lowered().parameters) trained.insert(parameter.state);
  for (const auto& test : tests_) {
    for (const ParameterInfo& parameter : test->lowered().parameters)
      if (parameter.owner && parameter.lr_mult != 0 && trained.count(parameter.state) == 0)
        layers.insert(test->lowered().layers[static_cast<size_t>(parameter.layer)].param->name());
  }
  return layers;
}

MemoryPlan Training::memory_plan() {
  const Program& program = train_->program(ProgramKind::kTrain);
  MemoryPlan plan;
  plan.activations = device_session_.arena.bytes();
  plan.states = device_session_.store.bytes();
  plan.batches = buffer_bytes();
  plan.free = device_session_.device->free_memory();
  plan.batch = train_->batch_size();
  double operations = 0;
  for (const Step& step : program.steps) {
    operations += step.operations;
    if (step.op.shares.empty() || step.op.shares.front().layer < 0) continue;
    const std::string& layer =
        train_->lowered().layers[static_cast<size_t>(step.op.shares.front().layer)].param->name();
    for (int output : step.op.outputs) {
      const PlannedValue& value = program.values[static_cast<size_t>(output)];
      if (value.placement.kind == Placement::kArena) plan.layers[layer] += value.desc.bytes();
    }
  }
  if (operations > 0) plan.repeated = program.repeated.operations / operations;
  return plan;
}

int64_t Training::buffer_bytes() const {
  int64_t bytes = train_->data().batch_bytes();
  for (const auto& test : tests_) bytes += test->data().batch_bytes();
  return bytes;
}

bool Training::writes_snapshots() const {
  return files_.solver->snapshot() > 0 || files_.solver->snapshot_after_train();
}

bool Training::run(RunReport& report) {
  const caffe::SolverParameter& solver = *files_.solver;
  last_snapshot_ = options_.snapshot;
  report.note(fmt::format("random_seed: {}", loop_.seed));
  std::optional<PrefixLock> lock;
  if (writes_snapshots()) {
    lock.emplace(solver.snapshot_prefix());
    remove_abandoned_temporaries(solver.snapshot_prefix() + "_iter_");
  }
  std::set<std::string> loaded;
  for (const std::string& path : options_.weights) {
    const std::vector<WeightMatch> matches = load_weights(path, train_->lowered(), device_session_.store);
    require_match(path, matches);
    report.note(match_table(path, matches));
    for (const auto& test : tests_) {
      for (const WeightMatch& match : load_weights(path, test->lowered(), device_session_.store))
        if (match.kind == WeightMatch::kLoaded) loaded.insert(match.layer);
    }
  }
  if (!options_.snapshot.empty()) {
    report.note("Resuming from " + options_.snapshot);
    for (const std::string& line :
         restore_snapshot(options_.snapshot, solver, &loop_, train_nets(), tests_, device_session_))
      report.note(line);
  }
  copy_states();
  saved_iteration_ = loop_.iteration;
  if (writes_snapshots()) {
    const std::string replaced = check_replaced_snapshots(solver, loop_.iteration, solver.max_iter());
    if (!replaced.empty()) report.note(replaced);
  }
  std::string warnings = train_->warnings();
  for (const auto& test : tests_) warnings += test->warnings();
  for (const std::string& layer : untrained_layers()) {
    if (loaded.count(layer) == 0)
      warnings += fmt::format(
          "warning: a test net has a layer \"{}\" that the training net lacks: it is tested as its "
          "fillers made it. Is the name right?\n",
          layer);
  }
  if (trained_parameters(train_->lowered()).empty())
    warnings += "warning: the net has no parameter to train (lr_mult is 0 everywhere, or no layer has any)\n";
  if (!train_->lowered().loss) warnings += "warning: the net has no loss: nothing will be learned\n";
  if (!warnings.empty()) report.warning(trim(warnings));
  report.note(fmt::format("Planned memory: {}", format_bytes(memory_plan().total())));
  const std::string repeated = repeated_text(train_->program(ProgramKind::kTrain));
  if (!repeated.empty()) report.note(repeated);
  const std::string slow = slow_steps();
  if (!slow.empty()) report.note(slow);
  report.begin(run_info());
  try {
    loop(report);
  } catch (const Error& error) {
    const std::string advice = save_what_is_learned(error, report);
    report.finish({loop_.iteration, error.code() == ExitCode::kDiverged ? "diverged" : "failed", false});
    if (advice.empty()) throw;
    throw Error(error.code(), fmt::format("{}\n{}", error.what(), advice));
  }
  report.finish({loop_.iteration, stop_ ? "stopped" : "done", !stop_});
  return stop_;
}

std::string Training::save_what_is_learned(const Error& error, RunReport& report) {
  const bool unsaved = error.code() == ExitCode::kData && !snapshot_failed_ && saved_iteration_ != loop_.iteration;
  if (unsaved && writes_snapshots()) {
    try {
      snapshot(report);
    } catch (const Error& problem) {
      return fmt::format("No snapshot of iteration {} can be written: {}", loop_.iteration, problem.what());
    }
  }
  const std::string go_on = last_snapshot_.empty() ? "" : "go on with --snapshot=" + last_snapshot_;
  if (error.code() == ExitCode::kDevice)
    return fmt::format("No snapshot of iteration {} can be written; {}", loop_.iteration,
                       go_on.empty() ? "there is none to go on from" : go_on);
  return error.code() == ExitCode::kData && !go_on.empty() ? fmt::format("When this is mended, {}", go_on) : "";
}

RunInfo Training::run_info() const {
  const caffe::SolverParameter& solver = *files_.solver;
  RunInfo info;
  info.net_name = files_.train.net->name();
  info.solver_type = solver.type();
  for (const auto& rank : ranks_)
    info.device += (info.device.empty() ? "" : ", ") + rank->device_session.device->name();
  if (device_session_.precision != Precision::kFP32)
    info.device += fmt::format(", {}", name_of(device_session_.precision));
  info.command_line = options_.command_line;
  google::protobuf::TextFormat::PrintToString(*files_.train.net, &info.net_text);
  google::protobuf::TextFormat::PrintToString(solver, &info.solver_text);
  info.folder = options_.new_run_folder ? make_run_folder(solver.snapshot_prefix()) : options_.run_folder;
  info.first_iteration = loop_.iteration;
  info.max_iteration = solver.max_iter();
  info.display = solver.display();
  info.images_per_iteration = images_per_iteration();
  info.images_per_epoch = train_->data().records_per_epoch();
  return info;
}

void Training::loop(RunReport& report) {
  const caffe::SolverParameter& solver = *files_.solver;
  while (loop_.iteration < solver.max_iter() && !stop_) {
    const int iteration = loop_.iteration;
    if (solver.test_interval() > 0 && iteration % solver.test_interval() == 0 &&
        (iteration > 0 || solver.test_initialization())) {
      if (!test_all(report)) break;
    }
    const bool display = solver.display() > 0 && iteration % solver.display() == 0;
    iterate(display, report);
    const StopRequest request = options_.poll();
    stop_ = stop_ || request == StopRequest::kStop;
    const bool due = solver.snapshot() > 0 && loop_.iteration % solver.snapshot() == 0;
    const bool again = snapshot_failed_ && solver.display() > 0 && loop_.iteration % solver.display() == 0;
    if (due || again || request == StopRequest::kSnapshot) try_snapshot(report);
  }
  left_out_.start();
  note_left_out_updates(report);
  const bool already = solver.snapshot() > 0 && loop_.iteration % solver.snapshot() == 0;
  if (snapshot_failed_ || (solver.snapshot_after_train() && !already)) snapshot(report);
  if (stop_) return;
  if (solver.display() > 0 && loop_.iteration % solver.display() == 0) {
    train_->run_next(ProgramKind::kForward);
    note_loss(train_->loss());
    report.final_loss(loop_.iteration, smoothed_loss());
  }
  if (solver.test_interval() > 0 && loop_.iteration % solver.test_interval() == 0) test_all(report);
}

void Training::iterate(bool display, RunReport& report) {
  const caffe::SolverParameter& solver = *files_.solver;
  const float rate = learning_rate(solver, loop_.iteration, &loop_.current_step);
  float loss = 0;
  if (solver.debug_info()) {
    if (display)
      train_->set_debug_log([&report](const std::string& line) { report.note(line); });
    else
      train_->set_debug_log(nullptr);
  }
  for (int i = 0; i < solver.iter_size(); ++i) {
    const ProgramKind kind = i == 0 ? ProgramKind::kTrain : ProgramKind::kAccumulate;
    const bool last = i + 1 == solver.iter_size();
    for (const auto& rank : ranks_) rank->net->queue_next(kind, last && display && rank == ranks_.front());
    if (sums_ && last) sums_->start();
    for (const auto& rank : ranks_) {
      rank->net->finish();
      if (!std::isfinite(rank->net->loss())) fail_diverged(*rank, rate);
      loss += rank->net->loss();
    }
  }
  note_loss(loss / static_cast<float>(solver.iter_size() * static_cast<int>(ranks_.size())));
  if (display) left_out_.start();
  for (const auto& rank : ranks_) rank->update->apply(rate, loop_.iteration);
  if (display) display_iteration(rate, report);
  ++loop_.iteration;
  report.step({loop_.iteration, smoothed_loss(), rate, train_->data().waited_seconds()});
}

void Training::display_iteration(float rate, RunReport& report) {
  TrainDisplay shown;
  shown.iteration = loop_.iteration;
  shown.loss = smoothed_loss();
  shown.learning_rate = rate;
  shown.data_wait_seconds = train_->data().waited_seconds();
  shown.outputs = output_values(train_->lowered(), train_->read_outputs());
  report.train_display(shown);
  note_left_out_updates(report);
}

void Training::note_left_out_updates(RunReport& report) {
  const std::string line = left_out_.describe();
  if (!line.empty()) report.note(line);
}

// Caffe's window: a plain mean until average_loss losses are held, then the mean of the last ones.
void Training::note_loss(float loss) {
  const size_t window = static_cast<size_t>(files_.solver->average_loss());
  if (loop_.losses.capacity() < window + 1) loop_.losses.reserve(window + 1);
  loop_.losses.push_back(loss);
  if (loop_.losses.size() > window) loop_.losses.erase(loop_.losses.begin());
}

float Training::smoothed_loss() const {
  if (loop_.losses.empty()) return 0;
  return std::accumulate(loop_.losses.begin(), loop_.losses.end(), 0.0f) / static_cast<float>(loop_.losses.size());
}

bool Training::test_all(RunReport& report) {
  for (const auto& test : tests_) before_test_.push_back(test->position());
  for (size_t i = 0; i < tests_.size(); ++i) {
    if (!test(i, report)) return false;
  }
  before_test_.clear();
  return true;
}

bool Training::test(size_t index, RunReport& report) {
  NetSession& net = *tests_[index];
  const int iterations = files_.solver->test_iter(static_cast<int>(index));
  if (files_.solver->debug_info()) net.set_debug_log([&report](const std::string& line) { report.note(line); });
  report.test_begin(loop_.iteration, static_cast<int>(index));
  const auto may_go_on = [&](int) {
    const StopRequest request = options_.poll();
    if (request == StopRequest::kSnapshot) try_snapshot(report);
    stop_ = stop_ || request == StopRequest::kStop;
    return !stop_;
  };
  const Evaluation evaluation =
      evaluate(net, iterations, may_go_on, [&](int i, const auto&) { report.test_step(i + 1, iterations); });
  if (!evaluation.complete) {
    report.test_interrupted();
    return false;
  }
  TestResult result;
  result.iteration = loop_.iteration;
  result.net = static_cast<int>(index);
  if (files_.solver->test_compute_loss()) result.loss = evaluation.loss;
  result.images = net.batch_size() * iterations;
  result.outputs = evaluation.outputs;
  report.test_result(result);
  return true;
}

void Training::snapshot(RunReport& report) {
  const caffe::SolverParameter& solver = *files_.solver;
  std::vector<NetPosition> test_positions = before_test_;
  if (test_positions.empty()) {
    for (const auto& test : tests_) test_positions.push_back(test->position());
  }
  snapshot_failed_ = true;
  const SnapshotPaths paths = write_snapshot(solver, loop_, train_nets(), test_positions, device_session_);
  snapshot_failed_ = false;
  saved_iteration_ = loop_.iteration;
  last_snapshot_ = paths.state;
  const bool hdf5 = solver.snapshot_format() == caffe::SolverParameter_SnapshotFormat_HDF5;
  report.snapshot({loop_.iteration, paths.weights, paths.state, hdf5});
  prune_snapshots(solver, loop_.iteration);
}

void Training::try_snapshot(RunReport& report) {
  try {
    snapshot(report);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kData) throw;
    report.warning(fmt::format("{}\nThe training goes on without this snapshot; it is tried again {}", error.what(),
                               files_.solver->display() > 0 ? "at the next display" : "when the next one is due"));
  }
}

std::string Training::first_bad_value(const Rank& rank) const {
  const std::string data = rank.net->data().find_bad_value();
  if (!data.empty()) return "the first bad value stands in the data: " + data;
  const LoweredNet& net = rank.net->lowered();
  for (const ParameterInfo& parameter : net.parameters) {
    const std::vector<float> values = rank.device_session.store.read(parameter.state);
    if (std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); })) continue;
    return fmt::format("the first bad value is in parameter {} of layer \"{}\": the update before made it so",
                       parameter.blob, net.layers[static_cast<size_t>(parameter.layer)].param->name());
  }
  const std::optional<LayerShare> share = rank.net->find_bad_layer();
  if (!share || share->layer < 0) return "no single layer shows it";
  return fmt::format("the first bad value comes out of {}, {} pass",
                     subject_of(*net.layers[static_cast<size_t>(share->layer)].param),
                     share->pass == Pass::kForward ? "forward" : "backward");
}

void Training::fail_diverged(const Rank& rank, float rate) {
  throw Error(
      ExitCode::kDiverged,
      fmt::format("the loss is {} at iteration {} (learning rate {}); {}. No snapshot is written, the last one is "
                  "kept. Try a smaller base_lr, clip_gradients, or look at the data",
                  rank.net->loss(), loop_.iteration, rate, first_bad_value(rank)));
}

}  // namespace trainer
