// trainer::Solver.
#include <utility>

#include "api/call_scope.h"
#include "base/error.h"
#include "hub/weight_names.h"
#include "train/open_training.h"
#include "trainer/trainer.h"

namespace trainer {
namespace {

// Passes events to the callbacks of train().
class CallbackSink : public RunSink {
 public:
  void begin(const RunInfo&) override {}
  void end(const RunEnd&) override {}
  void step(const StepProgress& progress) override {
    if (callbacks && callbacks->iteration) request = callbacks->iteration(progress);
  }
  void test_result(const TestResult& result, double) override {
    if (callbacks && callbacks->test) callbacks->test(result);
  }
  void snapshot(const SnapshotFiles& files) override {
    if (callbacks && callbacks->snapshot) callbacks->snapshot(files);
  }

  StopRequest take() {
    const TrainRequest taken = std::exchange(request, TrainRequest::kContinue);
    return taken == TrainRequest::kStop       ? StopRequest::kStop
           : taken == TrainRequest::kSnapshot ? StopRequest::kSnapshot
                                              : StopRequest::kNone;
  }

  const TrainCallbacks* callbacks = nullptr;
  TrainRequest request = TrainRequest::kContinue;
};

PrototxtSource source_of(const SolverOptions& options) {
  if (options.solver.empty() == options.solver_text.empty())
    throw config_error("give one of solver, the prototxt file of a solver, and solver_text, its text");
  return options.solver.empty() ? PrototxtSource("solver_text", options.solver_text) : PrototxtSource(options.solver);
}

TrainingRequest request_of(const SolverOptions& options) {
  if (!options.snapshot.empty() && options.snapshot != kLatestSnapshot && !options.weights.empty())
    throw config_error("give a snapshot to resume training or weights to finetune but not both");
  TrainingRequest request{source_of(options), {}, DeviceRequest::of(options.device), options.scale_batch, {}};
  request.configure.edits = {options.set, options.fill};
  request.configure.has_level = options.level.has_value();
  request.configure.level = options.level.value_or(0);
  request.configure.stages = options.stages;
  request.options.device_options = device_options(options.precision, options.deterministic);
  request.options.memory = options.memory.empty() ? 0 : parse_memory(options.memory);
  request.options.snapshot = options.snapshot;
  request.options.weights = options.weights;
  request.options.run_folder = options.run_folder;
  request.options.command_line = "libtrainer";
  request.fetch = [](const std::string& value) { fetch_named(value); };
  return request;
}

}  // namespace

class Solver::Impl {
 public:
  explicit Impl(const SolverOptions& options)
      : threads(threads_of(options.threads)), log(options.log), sink(new CallbackSink), report(take(sink)) {
    const CallScope scope(threads, log);
    TrainingRequest request = request_of(options);
    request.options.poll = [this] { return sink->take(); };
    open = open_training(std::move(request), report);
  }

  const int threads;
  CallerLog log;
  CallbackSink* const sink;  // the report's
  RunReport report;
  OpenTraining open;
  bool has_run = false;

 private:
  static std::unique_ptr<RunSink> take(CallbackSink* sink) { return std::unique_ptr<RunSink>(sink); }
};

Solver::Solver(const SolverOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Solver::~Solver() = default;
Solver::Solver(Solver&&) noexcept = default;
Solver& Solver::operator=(Solver&&) noexcept = default;

bool Solver::train(const TrainCallbacks& callbacks) {
  if (std::exchange(impl_->has_run, true))
    throw config_error("a Solver trains once: open another one with the snapshot to continue");
  const CallScope scope(impl_->threads, impl_->log);
  impl_->sink->callbacks = &callbacks;
  return is_complete(impl_->open.training->run(impl_->report));
}

void Solver::save_weights(const std::string& path) const { impl_->open.training->save_weights(path); }

}  // namespace trainer
