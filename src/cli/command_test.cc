// trainer test: scores a net with given weights.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/joined_processes.h"
#include "cli/net_flags.h"
#include "cli/rank_flags.h"
#include "cli/test_table.h"
#include "config/prototxt_text.h"
#include "report/log.h"
#include "report/test_json.h"
#include "session/evaluate.h"

namespace trainer {
namespace {

// A metric may have no value, such as that of a class without records.
bool is_metric(const LoweredNet& net, const OutputValue& output) {
  return std::ranges::none_of(net.outputs, [&](const NetOutput& o) { return !o.metric && o.name == output.name; });
}

void require_finite(const LoweredNet& net, const TestResult& result) {
  std::string bad = std::isfinite(*result.loss) ? "" : "the loss";
  for (const OutputValue& output : result.outputs) {
    if (bad.empty() && !std::isfinite(output.value) && !is_metric(net, output)) bad = "output " + output.name;
  }
  if (!bad.empty())
    throw Error(ExitCode::kDiverged,
                fmt::format("{} is not finite: weights or data hold values that are NaN or infinite", bad));
}

// --iterations, or the whole data set once.
TestLength length_of(const Arguments& arguments) {
  if (!arguments.given("iterations")) return {0, 1};
  const int iterations = static_cast<int>(arguments.integer("iterations"));
  if (iterations < 1) throw config_error("--iterations is {}; it must be at least 1", iterations);
  return {iterations, 0};
}

// Caffe's lines.
void log_means(const TestResult& result) {
  log_info(fmt::format("Loss: {}", log_number(*result.loss)));
  for (const OutputValue& output : result.outputs) {
    std::string line = fmt::format("{} = {}", output.name, log_number(output.value));
    if (output.loss_weight != 0)
      line += fmt::format(" (* {} = {} loss)", log_number(output.loss_weight),
                          log_number(output.loss_weight * output.value));
    log_info(line);
  }
}

// All of them in a pipe or a file.
size_t classes_shown() { return isatty(STDOUT_FILENO) != 0 ? 50 : std::numeric_limits<size_t>::max(); }

void run_test(const Arguments& arguments, const RunModel& files, ConfiguredNet configured,
              const JoinedProcesses& processes) {
  const TestLength length = length_of(arguments);
  OpenNetOptions options = open_options_of(arguments, files.weights);
  options.device = processes.choose_device(arguments);
  options.reading.whole_epochs = length.epochs > 0;
  options.measures = true;
  options.group = processes.group();
  log_info(options.device.use);
  OpenNet open(std::move(configured), options);
  NetSession& net = open.session();
  if (open.message().debug_info()) net.set_debug_log([](const std::string& line) { log_info(line); });
  const int64_t batches = length.batches_of(net);
  if (length.epochs > 0) {
    const std::string warning = mixing_warning(net.lowered());
    if (!warning.empty()) log_warning(warning);
    log_info(fmt::format("Testing all {} records, in {} batches.", format_count(net.data().records_per_epoch()),
                         format_count(batches)));
  } else {
    log_info(fmt::format("Running for {} iterations.", batches));
  }

  Evaluation evaluation = evaluate(
      net, length, [](int64_t) { return true; },
      [&](int64_t i, const std::vector<std::vector<float>>& outputs) {
        for (const OutputValue& output : output_values(net.lowered(), outputs))
          log_info(fmt::format("Batch {}, {} = {}", i, output.name, log_number(output.value)));
      });
  if (!evaluation.mixing.empty()) log_warning(evaluation.mixing);
  const TestResult result = result_of(std::move(evaluation), length, net);
  log_means(result);
  const ClassNames& names = net.class_names();
  const bool json = arguments.get_bool("json");
  if (processes.is_first())
    std::fputs((json ? test_json(result, names) : test_table(result, names, classes_shown())).c_str(), stdout);
  require_finite(net.lowered(), result);
}

int run_test(const Arguments& arguments) {
  const RunModel files = trained_net_of(arguments);
  length_of(arguments);
  ConfiguredNet configured = net_to_run(arguments, files, UnfilledInput::kError);
  JoinedProcesses processes(
      arguments, files.weights.empty() ? files.model : files.weights,
      {{"the command", "test"}, {"the net", prototxt_text(*configured.net.net)}, {"--weights", files.weights}});
  processes.run([&] { run_test(arguments, files, std::move(configured), processes); });
  return 0;
}

REGISTER_COMMAND(
    test, .name = "test", .summary = "scores a net with given weights",
    .usage = "test --run=FOLDER|--model=FILE --weights=FILE [--iterations=N] [--json] [flags]",
    .description =
        "Runs the net forward in phase TEST over the whole data set, or over N batches, and shows the "
        "mean of each output, the values of metrics, and for each Accuracy layer precision, recall and f1 "
        "of each class and the confusion matrix.\n\n"
        "The result is on the standard output, the log with the outputs of each batch on the standard "
        "error. A loss or output that is not finite ends the command with exit code 4, after the result.\n\n"
        "Several processes of a launcher share the batches, with the same result.",
    .flags =
        {
            run_flag(),
            model_flag(),
            weights_flag(),
            weights_map_flag(),
            weights_match_flag(),
            {"iterations", FlagType::kInteger, "", "N",
             "Batches to run. Without it, each record of the data set is read once."},
            {"json", FlagType::kBool, "false", "", "Write one JSON document instead of the text."},
            gpu_flag(),
            cpu_flag(),
            precision_flag(),
            deterministic_flag(),
            ranks_flag(),
            set_flag(),
            fill_flag(),
            allow_fresh_flag(),
            level_flag(),
            stage_flag(),
        },
    .run = run_test, .computes = true, .flags_only = true, .joins = true);

}  // namespace
}  // namespace trainer
