// trainer train: trains the net of a solver.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "cli/command.h"
#include "cli/net_flags.h"
#include "cli/signals.h"
#include "config/override.h"
#include "report/log.h"
#include "report/terminal_sink.h"
#include "session/check_nets.h"
#include "train/configure_training.h"
#include "train/memory_advice.h"
#include "train/training.h"

namespace trainer {
namespace {

std::vector<std::string> weight_files(const Arguments& arguments, const caffe::SolverParameter& solver) {
  if (!arguments.text("weights").empty()) return comma_list(arguments.text("weights"));
  std::vector<std::string> files;
  if (!arguments.text("snapshot").empty()) return files;
  for (const std::string& entry : solver.weights()) {
    for (const std::string& path : comma_list(entry)) files.push_back(path);
  }
  return files;
}

const char* stopping_text() {
  static const std::string text = fmt::format("{}Stopping after this iteration; press Ctrl-C again to end at once\n",
                                              wants_live_line(STDERR_FILENO) ? "\r\x1b[K" : "");
  return text.c_str();
}

std::unique_ptr<Training> open_training(TrainingFiles files, const TrainingOptions& options,
                                        const std::vector<ChosenDevice>& devices,
                                        const std::function<TrainingFiles()>& configure_again) {
  try {
    return std::make_unique<Training>(std::move(files), options);
  } catch (const OutOfMemory& error) {
    std::string advice = memory_advice(configure_again, options, error);
    for (const ChosenDevice& device : devices) {
      if (!device.beside.empty())
        advice += fmt::format("\n  Others compute on {} as well: {}", device.name, device.beside);
    }
    throw device_error("{}", advice);
  }
}

bool has_tensor_cores(const Device& device) {
  return !device.is_host() && device.refuse_precision(Precision::kTF32).empty() &&
         device.refuse_precision(Precision::kBF16).empty();
}

int run_train(const Arguments& arguments) {
  if (!arguments.positional().empty()) throw UsageError("unexpected word: " + arguments.positional().front());
  if (arguments.text("solver").empty()) throw UsageError("Need a solver definition to train: --solver=FILE");
  if (!arguments.text("snapshot").empty() && !arguments.text("weights").empty())
    throw UsageError("Give a snapshot to resume training or weights to finetune but not both.");
  std::map<int, SignalEffect> effects;
  for (const auto& [signal, flag] : {std::pair{SIGINT, "sigint_effect"},
                                     {SIGHUP, "sighup_effect"},
                                     {SIGUSR1, "sigusr1_effect"},
                                     {SIGUSR2, "sigusr2_effect"}})
    effects[signal] = parse_signal_effect(flag, arguments.text(flag));

  ConfigureOptions configure;
  configure.edits = {arguments.texts("set"), arguments.texts("fill")};
  configure.has_level = arguments.given("level");
  configure.level = static_cast<int>(arguments.integer("level"));
  configure.stages = stages_of(arguments);
  Diagnostics diagnostics;
  TrainingFiles files = configure_training(arguments.text("solver"), configure, &diagnostics);
  if (diagnostics.has_errors()) {
    std::vector<FilteredNet> nets = files.tests;
    nets.push_back(files.train);
    add_net_problems(nets, {}, &diagnostics);
  }
  diagnostics.throw_if_errors();
  RunReport report;
  if (!diagnostics.list().empty()) report.warning(diagnostics.render());

  TrainingOptions options;
  const std::vector<ChosenDevice> devices = devices_of(arguments, *files.solver);
  options.devices.clear();
  for (const ChosenDevice& device : devices) options.devices.push_back(device.name);
  const int parts = arguments.get_bool("scale_batch") ? static_cast<int>(options.devices.size()) : 1;
  divide_batches(&files, parts);
  options.device_options = device_options_of(arguments);
  options.memory = memory_of(arguments);
  options.snapshot = arguments.text("snapshot");
  options.weights = weight_files(arguments, *files.solver);
  options.run_folder = arguments.text("run_dir");
  options.new_run_folder = !arguments.given("run_dir");
  options.command_line = "trainer train --solver=" + arguments.text("solver");
  if (arguments.given("precision")) options.command_line += " --precision=" + arguments.text("precision");
  if (arguments.get_bool("deterministic")) options.command_line += " --deterministic";
  if (arguments.given("memory")) options.command_line += " --memory=" + arguments.text("memory");
  for (const std::string& assignment : configure.edits.overrides)
    options.command_line += fmt::format(" --set '{}'", assignment);
  for (const std::string& fill : configure.edits.fills) options.command_line += fmt::format(" --fill '{}'", fill);

  std::signal(SIGPIPE, SIG_IGN);  // a log that nobody reads any more is no reason to lose a run
  SignalHandlers signals(effects, stopping_text());
  int stopped_by = 0;
  options.poll = [&] {
    const SignalRequest request = signals.take();
    if (request.stop) {
      stopped_by = request.signal;
      return StopRequest::kStop;
    }
    return request.snapshot ? StopRequest::kSnapshot : StopRequest::kNone;
  };
  for (const ChosenDevice& device : devices) report.note(device.use);
  const auto configure_again = [&] {
    Diagnostics known;
    TrainingFiles again = configure_training(arguments.text("solver"), configure, &known);
    divide_batches(&again, parts);
    return again;
  };
  const std::unique_ptr<Training> training = open_training(std::move(files), options, devices, configure_again);
  if (!arguments.given("precision") && has_tensor_cores(training->device()))
    report.note("This GPU has tensor cores: --precision=tf32 or bf16 is usually 3 to 5 times as fast as fp32.");
  return training->run(report) ? 128 + stopped_by : 0;
}

REGISTER_COMMAND(
    train, .name = "train", .summary = "trains a net",
    .usage = "train --solver=FILE [--weights=FILE,... | --snapshot=FILE] [flags]",
    .description =
        "Trains the net that the solver names, from its fillers, from weights (layers are matched by name) "
        "or from a "
        "snapshot, exactly as if it had never stopped.\n\n"
        "SIGINT, SIGTERM, SIGUSR1, SIGUSR2 and SIGXCPU stop after a snapshot, with exit code 128 + the "
        "signal's number; "
        "SIGHUP writes a snapshot and goes on.",
    .flags =
        {
            {"solver", FlagType::kFile, "", "FILE", "The solver: net, learning rate, schedule, snapshots."},
            {"weights", FlagType::kText, "", "FILE,FILE", "Weight files to start from, later ones over earlier ones."},
            {"snapshot", FlagType::kFile, "", "FILE", "The solver state to resume from."},
            gpu_flag(),
            cpu_flag(),
            precision_flag(),
            deterministic_flag(),
            memory_flag(),
            {"scale_batch", FlagType::kBool, "false", "",
             "Split batch_size among the GPUs; without it each GPU reads batches of batch_size, as in "
             "Caffe."},
            set_flag(),
            fill_flag(),
            {"run_dir", FlagType::kFolder, "", "FOLDER",
             "Where log, metrics and report go. Default: SNAPSHOT_PREFIX_run/DATE-TIME; empty: nowhere."},
            level_flag(),
            stage_flag(),
            {"sigint_effect", FlagType::kChoice, "stop", "stop|snapshot|none", "What SIGINT does."},
            {"sighup_effect", FlagType::kChoice, "snapshot", "stop|snapshot|none", "What SIGHUP does."},
            {"sigusr1_effect", FlagType::kChoice, "stop", "stop|snapshot|none",
             "What SIGUSR1 does, which batch systems send as a warning."},
            {"sigusr2_effect", FlagType::kChoice, "stop", "stop|snapshot|none", "What SIGUSR2 does."},
        },
    .run = run_train, .computes = true);

}  // namespace
}  // namespace trainer
