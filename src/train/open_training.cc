// Opens a training.
#include "train/open_training.h"

#include <functional>

#include "base/error.h"
#include "base/text.h"
#include "hub/weight_names.h"
#include "session/check_nets.h"
#include "session/open_net.h"
#include "train/latest_snapshot.h"
#include "train/memory_advice.h"

namespace trainer {
namespace {

// Whether this process loads weights or a snapshot, and not another one.
bool loads_files(const TrainingOptions& options) {
  return options.saved == nullptr && (options.group == nullptr || options.group->is_first());
}

// The weight files to start from.
std::vector<NamedWeights> weight_files(const TrainingOptions& options, const TrainingFiles& files) {
  std::vector<NamedWeights> named;
  if (!loads_files(options)) return named;
  if (!options.weights.empty() || !(options.snapshot.empty() || options.snapshot == kLatestSnapshot)) {
    for (const std::string& path : options.weights) named.push_back(weights_of_flag(path));
    return named;
  }
  for (int i = 0; i < files.solver->weights_size(); ++i) {
    for (const std::string& path : comma_list(files.solver->weights(i)))
      named.push_back({path, files.solver_positions.of(*files.solver, "weights", i)});
  }
  return named;
}

// Replaces kLatestSnapshot by a snapshot, which takes the place of weight files, or by a fresh start.
void choose_start(const caffe::SolverParameter& solver, TrainingOptions* options, RunReport& report) {
  if (!loads_files(*options)) options->snapshot.clear();
  if (options->snapshot != kLatestSnapshot) return;
  options->snapshot = find_latest_snapshot(solver, report);
  options->continues_run = !options->snapshot.empty();
  options->restarts_run = options->snapshot.empty();
  if (!options->continues_run || options->weights.empty()) return;
  report.note("--weights is not used: the training continues from a snapshot");
  options->weights.clear();
}

// Throws with all problems of the files; those of layers are found by opening the nets.
TrainingFiles read_files(TrainingRequest& request, RunReport& report, Diagnostics* diagnostics) {
  TrainingFiles files = configure_training(request.solver, request.configure, diagnostics);
  if (!diagnostics->has_errors()) choose_start(*files.solver, &request.options, report);
  if (files.solver != nullptr) check_readable(weight_files(request.options, files), diagnostics);
  if (diagnostics->has_errors()) {
    std::vector<FilteredNet> nets = files.tests;
    nets.push_back(files.train);
    add_net_problems(nets, {}, diagnostics);
  }
  diagnostics->throw_if_errors();
  return files;
}

// Downloads published weights that are not in the cache or, without `fetch`, leaves them out.
std::vector<std::string> weights_at_hand(const std::vector<NamedWeights>& files, const TrainingRequest::Fetch& fetch,
                                         RunReport& report) {
  std::vector<std::string> values;
  for (const NamedWeights& file : files) {
    if (fetch) fetch(file.path);
    const std::string missing = missing_weights(file.path);
    if (missing.empty()) {
      values.push_back(file.path);
    } else {
      report.warning("warning: " + missing);
    }
  }
  return values;
}

// Throws the mistakes of solver, nets and data sets that a plan for the CPU finds.
void check_without_device(TrainingFiles files, const TrainingOptions& options) {
  TrainingOptions plan;
  plan.plans_only = true;
  plan.snapshot = options.snapshot;
  try {
    const Training checked(std::move(files), plan);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kDevice) throw;
  }
}

std::string advice_for(const OutOfMemory& error, const TrainingOptions& options,
                       const std::vector<ChosenDevice>& devices, const std::function<TrainingFiles()>& configure) {
  std::string advice = memory_advice(configure, options, error);
  for (const ChosenDevice& device : devices) {
    if (!device.beside.empty())
      advice += fmt::format("\n  Other processes use {} as well: {}", device.spec.text(), device.beside);
  }
  return advice;
}

}  // namespace

OpenTraining open_training(TrainingRequest request, RunReport& report) {
  Diagnostics diagnostics;
  TrainingFiles files = read_files(request, report, &diagnostics);
  if (!diagnostics.list().empty()) report.warning(diagnostics.render());
  TrainingOptions& options = request.options;
  options.weights = weights_at_hand(weight_files(options, files), request.fetch, report);

  int parts = 1;
  const auto configure = [&] {
    Diagnostics known;
    TrainingFiles again = read_files(request, report, &known);
    divide_batches(&again, parts);
    return again;
  };
  OpenTraining open;
  try {
    open.devices = choose_devices(request.device, *files.solver);
    options.devices.clear();
    for (const ChosenDevice& device : open.devices) options.devices.push_back(device.spec);
    const int devices =
        options.group == nullptr ? static_cast<int>(open.devices.size()) : count_devices(*options.group, open.devices);
    if (request.scale_batch) parts = devices;
    divide_batches(&files, parts);
    for (const ChosenDevice& device : open.devices) report.note(device.use);
    open.training = std::make_unique<Training>(std::move(files), options);
  } catch (const OutOfMemory& error) {
    throw device_error("{}", advice_for(error, options, open.devices, configure));
  } catch (const Error& error) {
    if (error.code() == ExitCode::kDevice) check_without_device(configure(), options);
    throw;
  }
  return open;
}

}  // namespace trainer
