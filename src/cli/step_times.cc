// Compares steps with the best rates of the machine.
#include "cli/step_times.h"

#include <fmt/format.h>

#include "base/text.h"
#include "formats/atomic_file.h"
#include "report/json_line.h"
#include "report/log.h"

namespace trainer {
namespace {

double giga_per_second(double amount, const StepTime& step) {
  return step.seconds > 0 ? amount / step.seconds * 1e-9 : 0;
}

// Whether the memory traffic of a step takes longer than its operations, each at the best rate of the machine.
bool bound_by_memory(const StepTime& step, const DeviceSpeed& best) {
  return step.bytes / best.bytes > step.operations / best.operations;
}

}  // namespace

std::vector<StepTime> step_times(const Program& program, const std::vector<LoweredLayer>& layers,
                                 const std::vector<double>& seconds, int runs) {
  std::vector<StepTime> times;
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step& step = program.steps[i];
    const int layer = step.op.shares.empty() ? -1 : step.op.shares.front().layer;
    times.push_back({fmt::format("{} {} of {}", step.implementation, name_of(step.op.kind),
                                 layer < 0 ? "no layer" : layers[static_cast<size_t>(layer)].param->name()),
                     seconds[i] / runs, step.operations, step.bytes});
  }
  return times;
}

std::string describe(const StepTime& step, const DeviceSpeed& best) {
  const double operations = giga_per_second(step.operations, step), bytes = giga_per_second(step.bytes, step);
  return fmt::format("{} ms, {:.1f} GFLOP/s ({:.0f}% of the machine's best), {:.1f} GB/s ({:.0f}%), bound by {}",
                     log_number(step.seconds * 1e3), operations, 100 * operations * 1e9 / best.operations, bytes,
                     100 * bytes * 1e9 / best.bytes, bound_by_memory(step, best) ? "memory" : "compute");
}

void write_trace(const std::string& path, const std::vector<StepTime>& steps, const DeviceSpeed& best,
                 const std::vector<BucketTimes>& exchanges) {
  AtomicFile file(path);
  std::string text = "{\"traceEvents\": [\n";
  double start = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    const StepTime& step = steps[i];
    JsonLine values;
    values.add("gflops", giga_per_second(step.operations, step)).add("best_gflops", best.operations * 1e-9);
    values.add("gbytes_per_second", giga_per_second(step.bytes, step)).add("best_gbytes_per_second", best.bytes * 1e-9);
    values.add("bound", bound_by_memory(step, best) ? "memory" : "compute");
    JsonLine event;
    event.add("name", step.name).add("ph", "X").add("pid", int64_t{1}).add("tid", int64_t{1});
    event.add("ts", start * 1e6).add("dur", step.seconds * 1e6);
    // The closing brace of the event moves after its values.
    const std::string head = event.text(), body = values.text();
    text += fmt::format("{}, \"args\": {}}}{}\n", head.substr(0, head.rfind('}')), body.substr(0, body.rfind('}') + 1),
                        i + 1 < steps.size() || !exchanges.empty() ? "," : "");
    start += step.seconds;
  }
  for (size_t i = 0; i < exchanges.size(); ++i) {
    const BucketTimes& bucket = exchanges[i];
    JsonLine event;
    event.add("name", fmt::format("exchange of {}", format_bytes(bucket.bytes))).add("ph", "X");
    event.add("pid", int64_t{1}).add("tid", int64_t{2});
    event.add("ts", bucket.begin * 1e6).add("dur", (bucket.end - bucket.begin) * 1e6);
    text += fmt::format("{}{}\n", trim(event.text()), i + 1 < exchanges.size() ? "," : "");
  }
  text += "]}\n";
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace trainer
