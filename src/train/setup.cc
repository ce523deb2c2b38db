// The steps that set a training up. The parameters of each step are what the steps before it made.
#include "train/setup.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "formats/atomic_file.h"
#include "formats/solver_state.h"
#include "report/log.h"
#include "session/check_nets.h"
#include "session/state_names.h"
#include "train/memory_plan.h"
#include "train/parameter_patterns.h"
#include "train/saved_states.h"
#include "train/watched_metric.h"

namespace trainer {
namespace {

using Nets = std::vector<std::unique_ptr<NetSession>>;

void require_layers(const FilteredNet& train) {
  if (train.net->layer_size() == 0)
    throw config_error("the net \"{}\" has no layers in phase TRAIN: nothing can be trained", train.net->name());
}

// The first of the processes that have done most iterations; `iteration`: those of this process.
int furthest_process(Group& group, int iteration) {
  std::vector<int> done;
  for (const std::string& text : group.gather(std::to_string(iteration))) done.push_back(std::stoi(text));
  return static_cast<int>(std::max_element(done.begin(), done.end()) - done.begin());
}

struct StartingPoint {
  caffe::SolverState progress;  // empty for a fresh start
  int process = 0;              // whose progress it is: the one that is furthest ahead
};

StartingPoint find_start(const TrainingOptions& options) {
  Group* const group = options.group;
  const bool reads = !options.snapshot.empty() && (group == nullptr || group->is_first());
  StartingPoint start;
  if (options.saved != nullptr) {
    start.progress = options.saved->progress;
  } else if (reads) {
    start.progress = read_solver_progress(options.snapshot);
  }
  if (group == nullptr) return start;
  start.process = furthest_process(*group, start.progress.iter());
  const std::string text = group->broadcast_text(start.progress.SerializeAsString(), start.process);
  TRAINER_ASSERT(start.progress.ParseFromString(text));
  return start;
}

// That of the progress, if it has one, else that of the solver of the first process.
uint64_t choose_seed(const caffe::SolverParameter& solver, const caffe::SolverState& progress, Group* group) {
  uint64_t seed = progress.seed() != 0 ? progress.seed() : static_cast<uint64_t>(solver.random_seed());
  if (group != nullptr) group->broadcast(&seed, sizeof(seed), 0);
  return seed;
}

// The number of the first device of this process among those of all, and the number of all.
std::pair<int, int> place_of_devices(const TrainingOptions& options) {
  const int own = static_cast<int>(options.devices.size());
  if (options.group == nullptr) return {0, own};
  int before = 0, all = 0;
  const std::vector<std::string> counts = options.group->gather(std::to_string(own));
  for (size_t i = 0; i < counts.size(); ++i) {
    if (static_cast<int>(i) == options.group->rank()) before = all;
    all += std::stoi(counts[i]);
  }
  return {before, all};
}

// The ranks with their devices only.
std::vector<Rank> open_devices(const TrainingOptions& options) {
  const auto [before, all] = place_of_devices(options);
  std::vector<Rank> ranks;
  for (const DeviceSpec& spec : options.devices) {
    ranks.emplace_back();
    ranks.back().device =
        std::make_unique<TrainingDevice>(options.plans_only ? spec.planned() : spec, options.device_options);
    DeviceSession& session = ranks.back().session();
    session.local = static_cast<int>(ranks.size()) - 1;
    session.rank = before + session.local;
    session.world = all;
    session.group = options.group;
  }
  return ranks;
}

// Gives each rank its training net and returns the test nets.
Nets open_nets(const TrainingFiles& files, uint64_t seed, std::vector<Rank>* ranks) {
  Nets tests;
  NetProblems problems;
  const caffe::SolverParameter& solver = *files.solver;
  const ParameterMultipliers multipliers = multipliers_of(solver);
  const auto open = [&](const FilteredNet& net, caffe::Phase phase, const Rank& rank) {
    std::unique_ptr<NetSession> opened;
    problems.collect([&] {
      DataReading reading;
      reading.whole_epochs = phase == caffe::TEST && solver.test_epochs() > 0;
      opened = std::make_unique<NetSession>(*net.net, *net.positions, phase, seed, rank.session(), GivenShapes(),
                                            InputUse::kZeros, multipliers, reading);
      if (phase == caffe::TEST) opened->measure();
    });
    return opened;
  };
  for (Rank& rank : *ranks) rank.net = open(files.train, caffe::TRAIN, rank);
  for (const FilteredNet& test : files.tests) tests.push_back(open(test, caffe::TEST, ranks->front()));
  problems.throw_if_any();
  return tests;
}

// Throws if a test reads other classes than the training: their labels would have other meanings.
void check_classes(const NetSession& train, const Nets& tests) {
  for (const auto& test : tests) {
    const std::string difference = class_difference(train.data().class_names(), "the data of the training",
                                                    test->data().class_names(), "the data of the test");
    if (!difference.empty())
      throw data_error("{}: give both the same folders, or the same file in image_data_param.labels", difference);
  }
}

// The weights of the training say how its tests prepare pictures.
void note_picture_input(const Nets& tests, NetSession* train) {
  for (const auto& test : tests) train->add_notes({{}, test->notes().picture_input});
}

EpochLength epoch_length(const caffe::SolverParameter& solver, const NetSession& train, int devices,
                         const caffe::SolverState& progress) {
  EpochLength length = {train.data().records_per_epoch(), train.batch_size() * solver.iter_size() * devices};
  length.since = progress.iter();
  length.before = length.since * length.per_iteration;  // Caffe's states have no positions
  uint64_t read = 0;
  for (const auto& [layer, cursor] : train_cursors(progress)) read = std::max(read, cursor.records);
  if (read > 0) length.before = static_cast<int64_t>(read);
  return length;
}

// Replaces a drawn seed by the seed in use, and epochs by iterations.
caffe::SolverParameter resolve_solver(const TrainingFiles& files, uint64_t seed, const NetSession& train,
                                      const EpochLength& epoch) {
  caffe::SolverParameter solver = *files.solver;
  if (files.seed_drawn) solver.set_random_seed(static_cast<int64_t>(seed));
  const EpochField* const first = first_epoch_field(solver);
  if (first == nullptr) return solver;
  if (epoch.records <= 0) {
    Diagnostics diagnostics;
    diagnostics.error(files.solver_positions.of(*files.solver, first->epochs), "",
                      fmt::format("{} is set, but the net \"{}\" reads no data set with a known number of records",
                                  first->epochs, train.lowered().name),
                      fmt::format("set {} instead", first->iterations));
    diagnostics.throw_if_errors();
  }
  resolve_epochs(epoch, &solver);
  return solver;
}

// Throws if nothing learns in one stage of a training that learns in another.
void check_stages(const TrainingFiles& files, const Freezing& freezing, const LoweredNet& net) {
  if (trained_parameters(net).empty()) return;
  Diagnostics diagnostics;
  for (int iteration : freezing.stages()) {
    if (freezing.learning(net, iteration).empty())
      diagnostics.error(files.solver_positions.of(*files.solver, "freeze"), "",
                        fmt::format("all parameters are frozen in iteration {}: nothing learns", iteration),
                        "leave the last layer out of the patterns, or name it in fresh");
  }
  diagnostics.throw_if_errors();
}

// Throws if the tests cannot have a metric that the solver watches.
void check_watched_metrics(const TrainingFiles& files, const Nets& tests) {
  Diagnostics diagnostics;
  for (const WatchedMetric& metric : watched_metrics(*files.solver)) {
    const std::string problem = find_missing_metric(metric, tests[metric.net]->lowered());
    if (!problem.empty()) diagnostics.error(files.solver_positions.of(*files.solver, metric.field), "", problem);
  }
  diagnostics.throw_if_errors();
}

// Binary files end at 2 GiB, and HDF5 cannot store every name: this is an error before the training, not at the first
// snapshot.
void check_snapshot_files(const caffe::SolverParameter& solver, const LoweredNet& net) {
  if (!writes_snapshots(solver) && !solver.has_best()) return;
  check_writable_prefix(solver.snapshot_prefix());
  if (solver.has_best()) check_replaceable(best_path(solver));
  const SnapshotPaths paths = snapshot_paths(solver, 0);
  if (is_hdf5(solver)) {
    std::vector<Hdf5LayerName> names;
    for (const CaffeLayer& layer : caffe_layers(net))
      names.push_back(
          {layer.name, layer.source < 0 ? 0 : net.layers[static_cast<size_t>(layer.source)].parameters.size()});
    check_hdf5_names(paths.weights, names);
    return;
  }
  int64_t weights = 0, history = 0;
  for (const ParameterInfo& parameter : net.parameters) {
    const int64_t bytes = parameter.shape.count() * size_of(DType::kF32);
    weights += solver.snapshot_diff() ? 2 * bytes : bytes;
    if (parameter.owner) history += bytes * history_blobs(solver.type());
  }
  check_binary_size(weights, paths.weights);  // the file of an average is no larger
  check_binary_size(history, paths.state);
}

// Adds parameters, gradients and history to the store of each rank, and gives each rank its update rule.
void add_states(const caffe::SolverParameter& solver, uint64_t seed, const Nets& tests, std::vector<Rank>* ranks) {
  for (const Rank& rank : *ranks) add_parameters(rank.net->lowered(), seed, true, rank.session().store);
  for (const auto& test : tests) add_parameters(test->lowered(), seed, false, ranks->front().session().store);
  for (Rank& rank : *ranks)
    rank.update = std::make_unique<UpdateRule>(solver, trained_parameters(rank.net->lowered()), rank.session());
}

// nullptr if the solver keeps no average.
std::unique_ptr<WeightAverage> keep_average(const caffe::SolverParameter& solver, const Rank& first) {
  return average_name(solver).empty() ? nullptr : std::make_unique<WeightAverage>(first.session());
}

// The values of a pass get the part of the memory limit that states and batches leave.
void compile_programs(const caffe::SolverParameter& solver, int64_t memory_limit, const std::vector<Rank>& ranks,
                      const Nets& tests, GradientSums* sums) {
  for (const Rank& rank : ranks) {
    rank.session().sums = sums;
    rank.session().limit_memory(memory_limit, batch_bytes(*ranks.front().net, tests));
    rank.net->program(ProgramKind::kTrain);
    if (solver.iter_size() > 1) rank.net->program(ProgramKind::kAccumulate);
  }
  for (const auto& test : tests) test->program(ProgramKind::kForward);
}

// Compiles the programs of all stages, those of the first one last, so that the memory suffices for each.
void compile_stages(const caffe::SolverParameter& solver, int64_t memory_limit, const std::vector<Rank>& ranks,
                    const Nets& tests, GradientSums* sums, Freezing* freezing) {
  for (size_t stage = freezing->stages().size(); stage-- > 0;) {
    freezing->enter(freezing->stages()[stage], ranks, tests, sums);
    compile_programs(solver, memory_limit, ranks, tests, sums);
  }
}

}  // namespace

caffe::SolverParameter resolved_solver(const TrainingFiles& files) {
  if (first_epoch_field(*files.solver) == nullptr) return *files.solver;
  const auto seed = static_cast<uint64_t>(files.solver->random_seed());
  DeviceSession device(DeviceSpec().planned(), {});
  const NetSession train(*files.train.net, *files.train.positions, caffe::TRAIN, seed, device);
  return resolve_solver(files, seed, train, epoch_length(*files.solver, train, 1, {}));
}

std::unique_ptr<TrainingState> set_up_training(TrainingFiles files, const TrainingOptions& options) {
  require_layers(files.train);
  const StartingPoint start = find_start(options);
  const uint64_t seed = choose_seed(*files.solver, start.progress, options.group);
  std::vector<Rank> ranks = open_devices(options);
  Nets tests = open_nets(files, seed, &ranks);
  NetSession& train = *ranks.front().net;
  check_patterns(*files.solver, files.solver_positions, train.lowered());
  check_classes(train, tests);
  note_picture_input(tests, &train);
  const EpochLength epoch = epoch_length(*files.solver, train, ranks.front().session().world, start.progress);
  caffe::SolverParameter solver = resolve_solver(files, seed, train, epoch);
  const std::string scaled = scale_rate(options.rate_scaling, ranks.front().session().world, epoch, &solver);
  if (!scaled.empty()) log_info(scaled);
  check_watched_metrics(files, tests);
  Freezing freezing(solver);
  check_stages(files, freezing, train.lowered());
  files.solver.reset();
  check_snapshot_files(solver, train.lowered());
  if (!options.plans_only) check_host_states(solver, train.lowered(), *ranks.front().device);
  add_states(solver, seed, tests, &ranks);
  std::unique_ptr<WeightAverage> average = keep_average(solver, ranks.front());
  std::vector<DeviceSession*> sessions;
  for (const Rank& rank : ranks) sessions.push_back(&rank.session());
  std::unique_ptr<GradientSums> sums = sum_gradients(train.lowered(), sessions, solver.gradient_exchange());
  compile_stages(solver, options.memory, ranks, tests, sums.get(), &freezing);
  if (!options.plans_only) check_planned_memory(ranks, tests);
  LoopState loop;
  loop.seed = seed;
  Schedule schedule(solver, epoch);
  return std::unique_ptr<TrainingState>(new TrainingState{
      std::move(files), std::move(solver), epoch, std::move(schedule), std::move(ranks), std::move(tests),
      std::move(sums), std::move(average), std::move(freezing), start.process, std::move(loop)});
}

}  // namespace trainer
