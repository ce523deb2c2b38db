// trainer validate: reads all data once and checks everything that could stop a training later.
#include <cstdio>
#include <functional>

#include "base/cores.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/net_flags.h"
#include "cli/net_plan.h"
#include "cli/progress_line.h"
#include "cli/validation.h"
#include "data/validate/open_path.h"
#include "data/validate/scan.h"
#include "formats/mean_file.h"
#include "hub/weight_names.h"
#include "report/log.h"
#include "session/data_sets.h"
#include "session/parameters.h"
#include "train/open_training.h"
#include "train/snapshot.h"

namespace trainer {
namespace {

SourcePosition at(const std::string& file) {
  SourcePosition position;
  position.file = file;
  return position;
}

// Takes the warnings of a training that have no place in a file: those that have one are known from its nets.
class WarningSink : public RunSink {
 public:
  WarningSink(const std::string& solver, Diagnostics* problems) : solver_(solver), problems_(*problems) {}
  void begin(const RunInfo&) override {}
  void warning(const std::string& text) override {
    constexpr std::string_view kBegin = "warning: ";
    for (const std::string& line : split(text, '\n')) {
      if (line.starts_with(kBegin)) problems_.warning(at(solver_), "", line.substr(kBegin.size()));
    }
  }
  void end(const RunEnd&) override {}

 private:
  const std::string solver_;
  Diagnostics& problems_;
};

std::string weights_text(const WeightFile& file) {
  int64_t values = 0;
  if (file.tensors != nullptr) {
    for (const StoredTensor& tensor : file.tensors->tensors) values += tensor.shape.count();
    return fmt::format("{} weights of {} tensors, {} values", file.tensors->format, file.tensors->tensors.size(),
                       format_count(values));
  }
  for (const WeightLayer& layer : file.layers) {
    for (const WeightBlob& blob : layer.blobs) values += static_cast<int64_t>(blob.data.size());
  }
  return fmt::format("weights of {} layers, {} values", file.layers.size(), format_count(values));
}

class Validator {
 public:
  explicit Validator(const Arguments& arguments) : arguments_(arguments), matching_(weight_matching_of(arguments)) {}

  Validation run() {
    const std::string &solver = arguments_.text("solver"), &model = arguments_.text("model");
    for (const std::string& path : arguments_.positional()) {
      attempt({}, [&] { add_path(path); });
    }
    if (!solver.empty()) solvers_.push_back(solver);
    if (!model.empty()) models_.push_back(model);
    for (const std::string& path : solvers_) open_solver(path);
    for (const std::string& path : models_) open_model(path);
    check_files(arguments_.text("snapshot"), arguments_.text("weights"));
    const bool plans = !problems().has_errors();
    scan();
    // A plan reads the first records, too.
    const DataErrors data = problems().has_errors() ? DataErrors::kKnown : DataErrors::kCollected;
    for (size_t i = 0; plans && i < solvers_.size(); ++i)
      attempt(
          at(solvers_[i]), [&] { plan_training(solvers_[i]); }, data);
    for (size_t i = 0; plans && i < opened_models_.size(); ++i)
      attempt(
          at(opened_models_[i].path), [&] { plan_model(opened_models_[i]); }, data);
    return std::move(result_);
  }

 private:
  // A net of --model in the phases that it has.
  struct Model {
    std::string path;
    std::vector<ConfiguredNet> nets;
  };

  Diagnostics& problems() { return result_.findings.problems; }

  enum class DataErrors { kCollected, kKnown };

  // Collects the errors of the user that `action` throws, except those of data that are known.
  void attempt(const SourcePosition& position, const std::function<void()>& action,
               DataErrors data = DataErrors::kCollected) {
    try {
      action();
    } catch (const DiagnosticsError& error) {
      for (const Diagnostic& problem : error.problems().list()) {
        const bool known = data == DataErrors::kKnown && problem.code == ExitCode::kData;
        if (!known || problem.severity == Diagnostic::kWarning) problems().add(problem);
      }
    } catch (const Error& error) {
      if (error.code() != ExitCode::kConfiguration && error.code() != ExitCode::kData &&
          error.code() != ExitCode::kDevice)
        throw;
      if (data == DataErrors::kKnown && error.code() == ExitCode::kData) return;
      problems().error(position, "", error.what(), "", error.code());
    }
  }

  void add_path(const std::string& path) {
    switch (kind_of_path(path)) {
      case PathKind::kDataSet:
        sets_.add(path, open_data_path(path, [](const std::string& line) { log_warning(line); }));
        break;
      case PathKind::kPrototxt: (is_solver_text(path) ? solvers_ : models_).push_back(path); break;
      case PathKind::kWeights: add_weights(path); break;
      case PathKind::kSolverState: add_snapshot(path); break;
      case PathKind::kMeanImage:
        result_.files.push_back({path, "mean image " + read_mean_file(path).shape.text()});
        break;
    }
  }

  void add_weights(const std::string& path) { result_.files.push_back({path, weights_text(read_weights_of(path))}); }

  void add_snapshot(const std::string& path) {
    const StoredSnapshot snapshot = read_snapshot(path);
    result_.files.push_back({path, fmt::format("snapshot of iteration {}", snapshot.state.state.iter())});
    result_.files.push_back({snapshot.weights_path, weights_text(snapshot.weights)});
  }

  void check_files(const std::string& snapshot, const std::string& weights) {
    if (!snapshot.empty()) attempt(at("--snapshot"), [&] { add_snapshot(snapshot); });
    for (const std::string& path : comma_list(weights)) attempt(at("--weights"), [&] { check_weights(path); });
  }

  // The plan of a training reports missing weights itself.
  void check_weights(const std::string& value) {
    const std::string missing = missing_weights(value);
    if (missing.empty()) {
      add_weights(value);
    } else if (solvers_.empty()) {
      problems().warning(at("--weights"), "", missing);
    }
  }

  void open_net(const FilteredNet& net, const std::string& split, uint64_t seed) {
    if (net.net == nullptr || net.positions->faulty(*net.net)) return;
    attempt(at(net.positions->of(*net.net).file), [&] { sets_.add(net, split, seed, &problems()); });
  }

  void open_solver(const std::string& path) {
    attempt(at(path), [&] {
      trainings_.push_back(configure_training(path, configure_options_of(arguments_), &problems()));
      const TrainingFiles& files = trainings_.back();
      const auto seed = files.solver == nullptr ? 0 : static_cast<uint64_t>(files.solver->random_seed());
      open_net(files.train, "TRAIN", seed);
      for (size_t i = 0; i < files.tests.size(); ++i)
        open_net(files.tests[i], files.tests.size() == 1 ? "TEST" : fmt::format("TEST {}", i), seed);
      if (files.train.net != nullptr)
        result_.files.push_back({path, fmt::format("solver of the net \"{}\"", printable(files.train.net->name()))});
    });
  }

  void open_model(const std::string& path) {
    attempt(at(path), [&] {
      const Edits edits{arguments_.texts("set"), {}};
      require_net_overrides(edits);
      Model model{path, {}};
      bool readable = true;
      for (const caffe::Phase phase : {caffe::TRAIN, caffe::TEST}) {
        ConfiguredNet net;
        net.net = configure_net(path, net_state_of(arguments_, phase), edits, &net.file, &problems());
        readable = readable && net.net.net != nullptr;
        if (!readable || !begins(*net.net.net)) continue;
        open_net(net.net, caffe::Phase_Name(phase), 0);
        model.nets.push_back(std::move(net));
      }
      if (!readable) return;
      if (model.nets.empty()) throw config_error("{} has no data or Input layer in any phase", path);
      result_.files.push_back({path, fmt::format("net \"{}\"", printable(model.nets.front().net.net->name()))});
      opened_models_.push_back(std::move(model));
    });
  }

  // Whether a layer has no bottoms: a net without one is of the other phase.
  static bool begins(const caffe::NetParameter& net) {
    for (const caffe::LayerParameter& layer : net.layer()) {
      if (layer.bottom_size() == 0) return true;
    }
    return false;
  }

  std::string name_of(const DataSet& set) const {
    if (set.splits.empty()) return set.source;
    int alike = 0;
    for (const DataSet& other : sets_.list()) alike += other.splits == set.splits ? 1 : 0;
    const std::string name = fmt::format("{}", fmt::join(set.splits, " and "));
    return alike == 1 ? name : fmt::format("{} ({})", name, set.source);
  }

  void scan() {
    int64_t total = 0, before = 0;
    for (const DataSet& set : sets_.list()) total += static_cast<int64_t>(set.feed->stored_records());
    ProgressLine line("the check is not complete");
    for (const DataSet& set : sets_.list()) {
      ScanOptions options;
      options.threads = usable_cores();
      options.labels = set.labels;
      options.progress = [&](int64_t done, int64_t) { line(before + done, total); };
      ScannedSet scanned{name_of(set), set.source, set.splits, set.root_folder, set.position, set.subject,
                         set.feed,     {},         {}};
      for (const auto& [top, range] : set.labels) scanned.ranged_tops.insert(top);
      attempt(set.position, [&] {
        scanned.scan = scan_data_set(*set.feed, options);
        result_.sets.push_back(std::move(scanned));
      });
      before += static_cast<int64_t>(set.feed->stored_records());
      // A net of --model may have a test in name only.
      if (set.splits.size() > 1 && models_.empty())
        problems().warning(set.position, set.subject,
                           fmt::format("{} read the same data", fmt::join(set.splits, " and ")),
                           "a test on the data of the training does not show how well the net generalizes");
    }
    std::vector<std::span<const RecordSignature>> signatures;
    for (const ScannedSet& set : result_.sets) signatures.emplace_back(set.scan.signatures);
    result_.duplicates = find_duplicates(signatures);
    const Findings found = find_problems(result_.sets, result_.duplicates);
    problems().add_all(found.problems);
    result_.findings.notes = found.notes;
  }

  void plan_training(const std::string& path) {
    TrainingRequest request{path, configure_options_of(arguments_), device_request_of(arguments_), false, {}};
    request.options.device_options = device_options_of(arguments_);
    request.options.memory = memory_of(arguments_);
    request.options.snapshot = arguments_.text("snapshot");
    request.options.matching = matching_;
    request.options.weights = comma_list(arguments_.text("weights"));
    RunReport report(std::make_unique<WarningSink>(path, &problems()));
    const OpenTraining open = open_training(std::move(request), report);
    open.training->load(report);
    const MemoryPlan plan = open.training->memory_plan();
    result_.memory.push_back(
        {open.training->device().name(), "The training", plan.activations, plan.states, plan.batches});
  }

  // Plans the first phase of the net, and loads the weights.
  void plan_model(const Model& model) {
    const FilteredNet& net = model.nets.front().net;
    const bool training = net.state.phase() == caffe::TRAIN;
    const ChosenDevice device = choose_device(device_request_of(arguments_));
    DeviceSession device_session(device.spec.planned(), device_options_of(arguments_));
    NetSession session(*net.net, *net.positions, net.state.phase(), 0, device_session);
    const NetPlan plan(session, device_session, training, memory_of(arguments_));
    result_.memory.push_back({device_session.device->name(),
                              training ? "Training by SGD with momentum" : "A forward pass",
                              plan.program->arena_bytes(), device_session.store.bytes(), session.data().batch_bytes()});
    for (const std::string& value : comma_list(arguments_.text("weights"))) {
      if (missing_weights(value).empty()) fit_weights(net, value);
    }
  }

  void fit_weights(const FilteredNet& net, const std::string& path) {
    DeviceSession device_session{DeviceSpec()};
    const NetSession session(*net.net, *net.positions, net.state.phase(), 0, device_session);
    add_parameters(session.lowered(), 0, false, device_session.store);
    const std::vector<WeightMatch> matches =
        load_weights(read_weights_of(path), session.lowered(), device_session.store, matching_);
    require_match(path, matches);
    if (!all_loaded(matches)) problems().warning(at(path), "", match_table(path, matches));
  }

  const Arguments& arguments_;
  const WeightMatching matching_;
  Validation result_;
  std::vector<std::string> solvers_, models_;
  // Own the nets that the data sets refer to.
  std::vector<TrainingFiles> trainings_;
  std::vector<Model> opened_models_;
  DataSets sets_;
};

int run_validate(const Arguments& arguments) {
  const bool solver = !arguments.text("solver").empty(), model = !arguments.text("model").empty();
  if (solver && model) throw UsageError("Give a solver or a net, not both: the solver names its net");
  if (!solver && !model && arguments.positional().empty() && arguments.text("snapshot").empty() &&
      arguments.text("weights").empty())
    throw UsageError("Give what to check: a path, --solver, --model, --snapshot or --weights");
  const Validation result = Validator(arguments).run();
  std::fputs((arguments.get_bool("json") ? validation_json(result) : validation_text(result)).c_str(), stdout);
  return exit_code(result.findings.problems);
}

REGISTER_COMMAND(
    validate, .name = "validate", .summary = "checks data, nets and files before a training",
    .usage =
        "validate PATH... [--json]\nvalidate --solver=FILE [--snapshot=FILE | --weights=FILE] [--json] [flags]\n"
        "validate --model=FILE [--weights=FILE] [--json] [flags]",
    .description =
        "Reads all data once and shows everything that could stop a training later: records that cannot be used, "
        "labels that the net does not accept, classes that the training or the test lacks, duplicates in and across "
        "data sets, mistakes of solver and net, memory that does not suffice.\n\n"
        "PATH is a folder with a folder of images for each class, a list of images, a database, an HDF5 or .npy file, "
        "a list of HDF5 files, a net, a solver, weights or a solver state. Several paths are compared with each "
        "other.\n\n"
        "--solver and --model read the data of all data layers of the net, in both phases, and plan the memory. With a "
        "solver, weights and snapshot are loaded as train loads them; nothing is written.\n\n"
        "Sizes, means and deviations are those of images as stored, before resizing, augment and scaling. Records are "
        "equal if their decoded values are; images look alike if their 64-bit perceptual hashes differ in at most 3 "
        "bits and their mean colors in at most 6 levels.\n\n"
        "The last line of the result is the verdict. Exit code: 0 without errors, 2 for errors in net or solver, 3 in "
        "data or files, 5 for a device or its memory; warnings do not change it.",
    .flags =
        {
            {"solver", FlagType::kFile, "", "FILE", "The solver to check with its nets and their data."},
            {"model", FlagType::kFile, "", "FILE", "The net to check with its data, in both phases."},
            {"snapshot", FlagType::kFile, "", "FILE", "The solver state to check with its weights."},
            {"weights", FlagType::kFiles, "", "FILE|NAME,...",
             "Weights to check. Published weights that are not in the cache are not downloaded."},
            weights_map_flag(),
            weights_match_flag(),
            {"json", FlagType::kBool, "false", "", "Write one JSON document instead of the text."},
            gpu_flag(),
            cpu_flag(),
            precision_flag(),
            deterministic_flag(),
            memory_flag(),
            set_flag(),
            level_flag(),
            stage_flag(),
        },
    .run = run_validate, .computes = true);

}  // namespace
}  // namespace trainer
