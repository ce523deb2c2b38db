// trainer train: trains the net of a solver.
#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "base/duration.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/fetch_weights.h"
#include "cli/glog_sink.h"
#include "cli/net_flags.h"
#include "cli/rank_flags.h"
#include "cli/signals.h"
#include "report/terminal_sink.h"
#include "train/run_training.h"

namespace trainer {
namespace {

const char* stopping_text(bool live_line) {
  return live_line ? "\r\x1b[KStopping after this iteration; press Ctrl-C again to end at once\n"
                   : "Stopping after this iteration; press Ctrl-C again to end at once\n";
}

bool has_tensor_cores(const Device& device) {
  return !device.is_host() && device.refuse_precision(Precision::kTF32).empty() &&
         device.refuse_precision(Precision::kBF16).empty();
}

void check_words(const Arguments& arguments) {
  if (arguments.text("solver").empty()) throw UsageError("Need a solver definition to train: --solver=FILE");
  const std::string& snapshot = arguments.text("snapshot");
  if (!snapshot.empty() && snapshot != kLatestSnapshot && !arguments.text("weights").empty())
    throw UsageError("Give a snapshot to resume training or weights to finetune but not both.");
}

std::map<int, SignalEffect> signal_effects(const Arguments& arguments) {
  std::map<int, SignalEffect> effects;
  for (const auto& [signal, flag] : {std::pair{SIGINT, "sigint_effect"},
                                     {SIGHUP, "sighup_effect"},
                                     {SIGUSR1, "sigusr1_effect"},
                                     {SIGUSR2, "sigusr2_effect"}})
    effects[signal] = parse_signal_effect(flag, arguments.text(flag));
  return effects;
}

int64_t max_seconds_of(const Arguments& arguments) {
  if (!arguments.given("max_time")) return 0;
  const int64_t seconds = parse_duration(arguments.text("max_time"));
  if (seconds < 0)
    throw UsageError(fmt::format("--max_time={} is not a duration: {}", arguments.text("max_time"), kDurationForms));
  return seconds;
}

// The values of a repeatable flag, each of which may be a comma list.
std::vector<std::string> patterns_of(const Arguments& arguments, const char* flag) {
  std::vector<std::string> patterns;
  for (const std::string& text : arguments.texts(flag)) {
    for (const std::string& pattern : split(text, ',')) patterns.push_back(trim(pattern));
  }
  return patterns;
}

TrainingRequest request_of(const Arguments& arguments) {
  TrainingRequest request{arguments.text("solver"),
                          configure_options_of(arguments),
                          device_request_of(arguments),
                          arguments.get_bool("scale_batch"),
                          {}};
  request.configure.edits.fills = arguments.texts("fill");
  request.configure.patterns = {patterns_of(arguments, "freeze"), patterns_of(arguments, "fresh"),
                                patterns_of(arguments, "lr_mult")};
  TrainingOptions& options = request.options;
  options.device_options = device_options_of(arguments);
  options.memory = memory_of(arguments);
  options.max_seconds = max_seconds_of(arguments);
  options.rate_scaling = rate_scaling_of(arguments);
  options.snapshot = arguments.text("snapshot");
  options.weights = comma_list(arguments.text("weights"));
  options.matching = weight_matching_of(arguments);
  options.run_folder = arguments.text("run_dir");
  options.new_run_folder = !arguments.given("run_dir");
  options.command_line = "trainer train " + arguments.given_text();
  return request;
}

// What a training shows on this terminal: nothing of processes that are not the first of a group.
class CommandView : public TrainingView {
 public:
  CommandView(bool live_line, bool names_precision) : live_line_(live_line), names_precision_(names_precision) {}

  std::unique_ptr<RunReport> make_report(bool first) override {
    quiet_log_.reset();
    if (live_line_ || !first) quiet_log_.emplace();
    return std::make_unique<RunReport>(live_line_ && first);
  }
  void opened(const Training& training, RunReport& report) override {
    if (!names_precision_ && has_tensor_cores(training.device()))
      report.note("This GPU has tensor cores: --precision=tf32 or bf16 is usually 3 to 5 times as fast as fp32.");
  }

 private:
  const bool live_line_, names_precision_;
  std::optional<QuietLog> quiet_log_;
};

RanksRequest ranks_request_of(const Arguments& arguments, const SignalHandlers& signals) {
  RanksRequest ranks;
  ranks.launched = find_rank(ranks_of(arguments));
  ranks.elastic = elastic_limits_of(arguments);
  if (ranks.elastic.least > 0 && ranks.launched.ends_together)
    throw config_error(
        "--elastic cannot work under {}, which ends all processes when one fails. Start them with srun "
        "--no-kill --wait=0 or trainer launch",
        ranks.launched.launcher);
  if (ranks.elastic.least > ranks.launched.world)
    throw config_error("--elastic={}: only {} process{} started", arguments.text("elastic"), ranks.launched.world,
                       ranks.launched.world == 1 ? " is" : "es are");
  ranks.wait.note = show_wait;
  ranks.wait.check = [&signals] { signals.throw_if_stopped("the processes had not all arrived"); };
  return ranks;
}

int run_train(const Arguments& arguments) {
  check_words(arguments);
  const std::map<int, SignalEffect> effects = signal_effects(arguments);
  const bool live_line = can_show_live_line(STDERR_FILENO) && !log_lines_demanded();
  TrainingRequest request = request_of(arguments);

  std::signal(SIGPIPE, SIG_IGN);  // a closed log pipe must not end the run
  SignalHandlers signals(effects, stopping_text(live_line));
  request.options.poll = [&] {
    const SignalRequest request = signals.take();
    if (request.stop) {
      return StopRequest(StopRequest::kStop, request.signal);
    }
    return StopRequest(request.snapshot ? StopRequest::kSnapshot : StopRequest::kNone);
  };
  request.fetch = [&](const std::string& value) { fetch_weights(value, &signals); };
  CommandView view(live_line, arguments.given("precision"));
  const TrainingOutcome outcome = run_training(request, ranks_request_of(arguments, signals), view);
  switch (outcome.end) {
    case TrainingEnd::kDone:
    case TrainingEnd::kNewcomers:
    case TrainingEnd::kStoppedEarly: return 0;
    case TrainingEnd::kStopped: return 128 + outcome.stop_signal;
    case TrainingEnd::kOutOfTime: return static_cast<int>(ExitCode::kOutOfTime);
  }
  return 0;
}

REGISTER_COMMAND(
    train, .name = "train", .summary = "trains a net",
    .usage = "train --solver=FILE [--weights=FILE,...] [--snapshot=FILE|auto] [flags]",
    .description =
        "Trains the net of the solver: from its fillers, from weights (layers are matched by name), or from a "
        "snapshot, with the same results as without the stop. --snapshot=auto continues from the newest intact "
        "snapshot of the solver's prefix, or starts from the beginning: the same command line starts and continues a "
        "training.\n\n"
        "SIGINT, SIGTERM, SIGUSR1, SIGUSR2 and SIGXCPU stop after a snapshot, with exit code 128 + the number of the "
        "signal; SIGHUP writes a snapshot and continues. --max_time stops after a snapshot with exit code 6.",
    .flags =
        {
            {"solver", FlagType::kFile, "", "FILE", "The solver: net, learning rate, schedule, snapshots."},
            {"weights", FlagType::kFiles, "", "FILE|NAME,...",
             "Weights to start from: files, or published weights (trainer weights names). Later ones replace values of "
             "earlier ones."},
            weights_map_flag(),
            weights_match_flag(),
            {"fresh", FlagType::kText, "", "PATTERN,PATTERN",
             "Layers that start from their fillers, not from the weights: a new last layer. Adds to fresh of the "
             "solver.",
             true},
            {"freeze", FlagType::kText, "", "PATTERN,PATTERN",
             "Layers that do not learn, except those of --fresh; '*' freezes all others. Batch normalization keeps its "
             "mean and variance. Adds to freeze of the solver.",
             true},
            {"lr_mult", FlagType::kText, "", "PATTERN=X,PATTERN=X",
             "Multiply the learning rate of these layers by X. Adds to param_rule of the solver.", true},
            {"snapshot", FlagType::kFile, "", "FILE|auto",
             "The solver state to resume from. auto: the newest intact snapshot, whose report continues; without one a "
             "fresh start, for which --weights counts."},
            gpu_flag(),
            cpu_flag(),
            precision_flag(),
            deterministic_flag(),
            memory_flag(),
            {"scale_batch", FlagType::kBool, "false", "",
             "Split batch_size among the GPUs; without it each GPU reads batches of batch_size, as in Caffe."},
            ranks_flag(),
            elastic_flag(),
            scale_rate_flag(),
            {"max_time", FlagType::kText, "", "DURATION",
             "End the run after this time with a snapshot and exit code 6: 90s, 45m, 12h, 2d, H:MM:SS or D-HH:MM:SS. "
             "It takes precedence over max_time of the solver."},
            set_flag(),
            fill_flag(),
            {"run_dir", FlagType::kFolder, "", "FOLDER",
             "The folder of log, metrics and report. Default: SNAPSHOT_PREFIX_run/DATE-TIME; empty: none.",
             /*repeatable=*/false, /*may_be_empty=*/true},
            level_flag(),
            stage_flag(),
            {"sigint_effect", FlagType::kChoice, "stop", "stop|snapshot|none", "The effect of SIGINT."},
            {"sighup_effect", FlagType::kChoice, "snapshot", "stop|snapshot|none", "The effect of SIGHUP."},
            {"sigusr1_effect", FlagType::kChoice, "stop", "stop|snapshot|none",
             "The effect of SIGUSR1, which batch systems send as a warning."},
            {"sigusr2_effect", FlagType::kChoice, "stop", "stop|snapshot|none", "The effect of SIGUSR2."},
        },
    .run = run_train, .computes = true, .flags_only = true, .joins = true);

}  // namespace
}  // namespace trainer
