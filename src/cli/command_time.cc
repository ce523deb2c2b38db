// trainer time: measures an iteration, layer by layer.
#include <fmt/format.h>

#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "base/text.h"
#include "cli/command.h"
#include "cli/joined_processes.h"
#include "cli/net_flags.h"
#include "cli/rank_flags.h"
#include "cli/step_times.h"
#include "config/prototxt_text.h"
#include "report/log.h"
#include "session/parameters.h"
#include "train/freezing.h"
#include "train/update_rule.h"

namespace trainer {
namespace {

struct LayerTime {
  double forward = 0, backward = 0;
};

// Divides the seconds of each step among its layers. The last entry is for steps without a layer.
std::vector<LayerTime> layer_times(const Program& program, const std::vector<double>& seconds, size_t layers) {
  std::vector<LayerTime> times(layers + 1);
  for (size_t i = 0; i < program.steps.size(); ++i) {
    double total = 0;
    for (const LayerShare& share : program.steps[i].op.shares) total += share.weight;
    for (const LayerShare& share : program.steps[i].op.shares) {
      LayerTime& time = times[share.layer < 0 ? layers : static_cast<size_t>(share.layer)];
      const double part = seconds[i] * (total > 0 ? share.weight / total : 1.0);
      (share.pass == Pass::kForward ? time.forward : time.backward) += part;
    }
  }
  return times;
}

std::string milliseconds(double seconds) { return fmt::format("{} ms.", log_number(seconds * 1e3)); }

// The peak resident memory of this process, in MiB.
int64_t peak_memory() {
  struct rusage usage {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

class Timing {
 public:
  // `solver` has the update to run, or is nullptr.
  Timing(const Arguments& arguments, const FilteredNet& net, const caffe::SolverParameter* solver,
         DeviceSession& device_session)
      : device_session_(device_session),
        device_(*device_session.device),
        net_(*net.net, *net.positions, net.state.phase(), 1, device_session, {}, InputUse::kZeros,
             solver == nullptr ? ParameterMultipliers() : multipliers_of(*solver)),
        iterations_(static_cast<int>(arguments.integer("iterations"))),
        trace_(arguments.text("trace")),
        kind_(arguments.get_bool("forward_only") ? ProgramKind::kForward : ProgramKind::kTrain) {
    net_.write_no_files();
    add_parameters(net_.lowered(), 1, true, device_session.store);
    if (solver != nullptr)
      update_ = std::make_unique<UpdateRule>(*solver, trained_parameters(net_.lowered()), device_session);
    if (trains())
      sums_ = sum_gradients(net_.lowered(), {&device_session},
                            solver == nullptr ? caffe::SolverParameter::FP32 : solver->gradient_exchange());
    device_session.sums = sums_.get();
    device_session.limit_memory(memory_of(arguments), net_.data().batch_bytes());
  }

  void run() {
    const std::string repeated = repeated_text(*net_.program(kind_));
    if (!repeated.empty()) log_info(repeated);
    iterate(0);
    log_info("Performing Forward");
    log_info(fmt::format("Initial loss: {}", log_number(net_.loss())));
    if (trains()) log_info("Performing Backward");
    log_info("*** Benchmark begins ***");
    log_info(fmt::format("Testing for {} iterations.", iterations_));
    exchange_ = exchange_rest_ = 0;
    const double waited = net_.data().waited_seconds();
    total_ = seconds_of_iterations(device_.is_host());
    wait_ = net_.data().waited_seconds() - waited;
    const double rest = exchange_rest_;
    if (!device_.is_host()) one_by_one_ = seconds_of_iterations(true);
    exchange_rest_ = rest;
    report();
  }

 private:
  bool trains() const { return kind_ == ProgramKind::kTrain; }

  // As in training.
  void iterate(int iteration) {
    if (update_) update_->prepare({}, iteration);
    if (sums_) sums_->begin();
    net_.queue_next(kind_, false, update_ ? update_->program_after_pass() : nullptr);
    finish_sums();
    net_.finish();
    if (update_) update_->run_after_loss();
  }

  // Adds the time of the exchange that is not hidden by the pass.
  void finish_sums() {
    if (!sums_) return;
    const auto start = Clock::now();
    sums_->finish();
    exchange_rest_ += since(std::max(start, sums_->computed().value_or(start)));
    for (const BucketTimes& bucket : sums_->times()) exchange_ += bucket.end - bucket.begin;
  }

  // Measures each step, or runs iterations as training does, on a GPU without waiting between steps.
  double seconds_of_iterations(bool by_steps) {
    device_.synchronize();
    const auto start = Clock::now();
    for (int i = 0; i < iterations_; ++i) {
      const auto before = Clock::now();
      if (by_steps) {
        if (sums_) sums_->begin();
        net_.run_next_timed(kind_, &seconds_);
        finish_sums();
        if (update_) update_->run_timed({}, i, &update_seconds_);
        log_info(fmt::format("Iteration: {} {} time: {}", i + 1, trains() ? "forward-backward" : "forward",
                             milliseconds(since(before))));
      } else {
        iterate(i);
      }
    }
    device_.synchronize();
    return since(start);
  }

  using Clock = std::chrono::steady_clock;
  static double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

  void report() {
    const double n = iterations_;
    const std::vector<LoweredLayer>& layers = net_.lowered().layers;
    const std::vector<LayerTime> times = layer_times(*net_.program(kind_), seconds_, layers.size());
    log_info("Average time per layer: ");
    LayerTime sum;
    for (size_t i = 0; i <= layers.size(); ++i) {
      const std::string name = i < layers.size() ? layers[i].param->name() : "(no layer)";
      sum.forward += times[i].forward;
      sum.backward += times[i].backward;
      if (i == layers.size() && times[i].forward + times[i].backward == 0) continue;
      log_info(fmt::format("{:>10}\tforward: {}", name, milliseconds(times[i].forward / n)));
      if (trains()) log_info(fmt::format("{:>10}\tbackward: {}", name, milliseconds(times[i].backward / n)));
    }
    double update = 0;
    for (double step : update_seconds_) update += step;
    if (update_) log_info(fmt::format("{:>10}\tupdate: {}", "(solver)", milliseconds(update / n)));
    log_info(fmt::format("Average wait for data: {}", milliseconds(wait_ / n)));
    if (device_.is_host())
      log_info(fmt::format("Average rest (feeding, reading the loss, this log): {}",
                           milliseconds((total_ - sum.forward - sum.backward - update - wait_ - exchange_rest_) / n)));
    report_exchange();
    log_info(fmt::format("Average Forward pass: {}", milliseconds(sum.forward / n)));
    if (trains()) log_info(fmt::format("Average Backward pass: {}", milliseconds(sum.backward / n)));
    if (update_) log_info(fmt::format("Average Update: {}", milliseconds(update / n)));
    log_info(fmt::format("Peak memory: {} MiB", peak_memory()));
    if (!device_.is_host()) {
      log_info(fmt::format(
          "Memory on the GPU: {} MiB",
          (device_session_.arena.bytes() + device_session_.store.bytes() + net_.data().batch_bytes()) >> 20));
      log_info(fmt::format("Average iteration step by step, as the lines above count it: {}",
                           milliseconds(one_by_one_ / n)));
    }
    report_steps();
    log_info(fmt::format("Total Time: {}", milliseconds(total_)));
    log_info("*** Benchmark ends ***");
    log_info(fmt::format("Average {}: {}", trains() ? "Forward-Backward" : "Forward", milliseconds(total_ / n)));
  }

  void report_exchange() {
    if (!sums_) return;
    const int processes = device_session_.group->size();
    const std::string others = fmt::format("{} other process{}", processes - 1, processes == 2 ? "" : "es");
    const std::string rest = milliseconds(exchange_rest_ / iterations_);
    if (device_.is_host()) {
      log_info(fmt::format("Average exchange with {}: {} {} of it after the backward pass", others,
                           milliseconds(exchange_ / iterations_), rest));
    } else {
      log_info(fmt::format("Average exchange with {} after the backward pass: {}", others, rest));
    }
    log_info(fmt::format("Each process sends {} an iteration, in {} parts",
                         format_bytes(2 * (processes - 1) * sums_->bytes() / processes), sums_->buckets()));
  }

  // Reports the slowest steps.
  void report_steps() {
    std::vector<StepTime> steps = step_times(*net_.program(kind_), net_.lowered().layers, seconds_, iterations_);
    const DeviceSpeed best = device_.best_speed();
    if (!trace_.empty()) write_trace(trace_, steps, best, sums_ ? sums_->times() : std::vector<BucketTimes>());
    log_info(fmt::format("The machine's best: {:.1f} GFLOP/s, {:.1f} GB/s", best.operations * 1e-9, best.bytes * 1e-9));
    constexpr size_t kShown = 3;
    std::sort(steps.begin(), steps.end(), [](const StepTime& a, const StepTime& b) { return a.seconds > b.seconds; });
    for (size_t i = 0; i < std::min(kShown, steps.size()); ++i)
      log_info(fmt::format("Slowest step {}: {}, {}", i + 1, steps[i].name, describe(steps[i], best)));
  }

  DeviceSession& device_session_;
  Device& device_;
  NetSession net_;
  int iterations_;
  std::string trace_;
  ProgramKind kind_;
  std::unique_ptr<UpdateRule> update_;
  std::unique_ptr<GradientSums> sums_;
  double exchange_ = 0, exchange_rest_ = 0;
  std::vector<double> seconds_, update_seconds_;
  double total_ = 0, wait_ = 0, one_by_one_ = 0;
};

bool solver_given(const Arguments& arguments) { return arguments.given("solver"); }

void check_flags(const Arguments& arguments) {
  const bool has_solver = solver_given(arguments);
  if (has_solver == arguments.given("model"))
    throw UsageError("Need a net or a solver to time: --model=FILE or --solver=FILE");
  for (const char* flag : {"phase", "forward_only", "update"}) {
    if (has_solver && arguments.given(flag))
      throw UsageError(fmt::format("--{} belongs to --model: --solver times its training and its update", flag));
  }
  if (arguments.get_bool("forward_only") && arguments.get_bool("update"))
    throw config_error("--forward_only and --update contradict each other: give one of them");
  if (arguments.integer("iterations") < 1) throw config_error("--iterations must be at least 1");
}

int run_time(const Arguments& arguments) {
  check_flags(arguments);
  const auto run = [&](const FilteredNet& net, const caffe::SolverParameter* solver) {
    JoinedProcesses processes(arguments, arguments.text(solver_given(arguments) ? "solver" : "model"),
                              {{"the command", "time"}, {"the net", prototxt_text(*net.net)}});
    processes.run([&] {
      const ChosenDevice device = processes.choose_device(arguments);
      log_info(device.use);
      DeviceSession device_session(device.spec, device_options_of(arguments));
      join(device_session, processes.group());
      Timing(arguments, net, solver, device_session).run();
    });
  };
  if (solver_given(arguments)) {
    const TrainingFiles files = training_to_look_at(arguments);
    run(files.train, files.solver.get());
    return 0;
  }
  const caffe::Phase phase = arguments.text("phase") == "TEST" ? caffe::TEST : caffe::TRAIN;
  const ConfiguredNet configured = net_to_look_at(arguments, phase);
  const caffe::SolverParameter plain = default_solver();
  run(configured.net, arguments.get_bool("update") ? &plain : nullptr);
  return 0;
}

REGISTER_COMMAND(
    time, .name = "time", .summary = "measures a net's forward and backward pass, layer by layer",
    .usage = "time --model=FILE|--solver=FILE [--iterations=N] [--update] [flags]",
    .description =
        "Runs the program that training runs, with its data, and divides the time of fused steps among their layers. "
        "The lines add up to the total. Saves nothing.\n\n"
        "Several processes of a launcher exchange their gradients as in training; the first one reports.",
    .flags =
        {
            {"model", FlagType::kFile, "", "FILE", "The prototxt file of the net."},
            {"solver", FlagType::kFile, "", "FILE",
             "The solver whose net and update are timed, with one pass for each update."},
            {"iterations", FlagType::kInteger, "50", "N", "Iterations to average over."},
            {"phase", FlagType::kChoice, "TRAIN", "TRAIN|TEST", "The phase of the net."},
            {"update", FlagType::kBool, "false", "", "Also run the update of the weights (SGD with momentum)."},
            {"forward_only", FlagType::kBool, "false", "", "Run the forward pass only, as test and validation do."},
            {"trace", FlagType::kFile, "", "FILE",
             "Write the steps of an iteration in Chrome's trace format: each with its time, GFLOP/s, GB/s and bound, "
             "and the machine's best rates."},
            gpu_flag(),
            cpu_flag(),
            precision_flag(),
            deterministic_flag(),
            memory_flag(),
            ranks_flag(),
            set_flag(),
            level_flag(),
            stage_flag(),
        },
    .run = run_time, .computes = true, .flags_only = true, .joins = true);

}  // namespace
}  // namespace trainer
