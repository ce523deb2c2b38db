// Writes the plain log lines of a run.
#include "report/log_lines_sink.h"

#include <fmt/format.h>

#include "base/text.h"
#include "report/log.h"

namespace trainer {

void LogLinesSink::begin(const RunInfo& info) {
  display_ = info.display;
  log_info(solving_line(info.net_name));
}

void LogLinesSink::train_display(const TrainDisplay& display, const TrainPace& pace) {
  log_info(iteration_line(display.iteration, pace.iterations_per_second, pace.seconds, display_, display.loss));
  int index = 0;
  for (const OutputValue& output : display.outputs)
    log_info(train_output_line(index++, output.name, output.value, output.loss_weight));
  log_info(learning_rate_line(display.iteration, display.learning_rate));
}

void LogLinesSink::test_begin(int64_t iteration, int net) { log_info(testing_line(iteration, net)); }

void LogLinesSink::test_result(const TestResult& result, double) {
  if (result.loss) log_info(test_loss_line(*result.loss));
  int index = 0;
  for (const OutputValue& output : result.outputs) {
    std::string line = test_output_line(index++, output.name, output.value, output.loss_weight);
    // After the value, so that scripts that read Caffe's log find it.
    if (output.interval > 0)
      line += fmt::format(" ± {}, {}", interval_text(output.interval), counted_text(output, result.images));
    log_info(line);
  }
}

void LogLinesSink::snapshot(const SnapshotFiles& files) {
  log_info(snapshot_weights_line(files.weights, files.hdf5));
  if (!files.average.empty()) log_info(snapshot_weights_line(files.average, files.hdf5));
  log_info(snapshot_state_line(files.state, files.hdf5));
}

void LogLinesSink::best(const NewBest& best) {
  log_info(new_best_line(best.iteration, best.metric, best.value, best.weights));
}

void LogLinesSink::retry(const Retry& retry) {
  log_warning(fmt::format(
      "Retry {} of {}: the training goes back to {}, with {} times its learning rate", retry.number, retry.most,
      retry.snapshot.empty() ? "its start" : fmt::format("iteration {} ({})", retry.first_iteration, retry.snapshot),
      log_number(retry.rate_factor)));
}

void LogLinesSink::final_loss(int64_t iteration, double loss) { log_info(final_loss_line(iteration, loss)); }

void LogLinesSink::note(const std::string& text) {
  for (const std::string& line : split(text, '\n')) log_info(line);
}

void LogLinesSink::warning(const std::string& text) {
  for (const std::string& line : split(text, '\n')) log_warning(line);
}

void LogLinesSink::end(const RunEnd& end) {
  log_info(end.completed ? "Optimization Done." : "Optimization stopped early.");
}

}  // namespace trainer
