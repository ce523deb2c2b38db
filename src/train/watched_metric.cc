// Finds watched metrics among the outputs of tests.
#include "train/watched_metric.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "session/evaluate.h"
#include "train/plateau.h"
#include "train/test_count.h"

namespace trainer {
WatchedMetric plateau_metric(const caffe::SolverParameter& solver) {
  const caffe::PlateauParameter& plateau = solver.plateau();
  return {"plateau.metric", plateau.metric(), plateau.net(), plateau.has_mode()};
}

WatchedMetric best_metric(const caffe::SolverParameter& solver) {
  const caffe::BestParameter& best = solver.best();
  return {"best.metric", best.metric(), best.net(), best.has_mode()};
}

std::vector<WatchedMetric> watched_metrics(const caffe::SolverParameter& solver) {
  std::vector<WatchedMetric> metrics;
  if (watches_test(solver)) metrics.push_back(plateau_metric(solver));
  if (solver.has_best()) metrics.push_back(best_metric(solver));
  return metrics;
}

std::string check_metric(const caffe::SolverParameter& solver, const WatchedMetric& metric) {
  if (!metric.has_mode) return "metric needs mode: MAX if a larger value is better, MIN if a smaller value is";
  const int tests = test_count(solver);
  if (metric.net < static_cast<uint32_t>(tests)) return "";
  return fmt::format(
      "metric is an output of test net {}, but the solver has {} test net{}; add test_epochs or "
      "test_iter, and test_interval",
      metric.net, tests, tests == 1 ? "" : "s");
}

double watched_value(const WatchedMetric& metric, const std::vector<OutputValue>& outputs, std::string* problem) {
  const std::vector<std::string> series = series_names(outputs);
  const auto found = std::find(series.begin(), series.end(), metric.name);
  if (found != series.end()) return outputs[static_cast<size_t>(found - series.begin())].value;
  std::set<std::string> known;
  for (const OutputValue& output : outputs) known.insert(output.name);
  const std::vector<std::string> names(known.begin(), known.end());
  const auto values =
      std::count_if(outputs.begin(), outputs.end(), [&](const auto& output) { return output.name == metric.name; });
  *problem = values == 0
                 ? fmt::format("test net {} has no output \"{}\"; {}its outputs are {}", metric.net, metric.name,
                               suggest(metric.name, names, "did you mean \"{}\"? "), fmt::join(names, ", "))
                 : fmt::format(
                       "the output \"{0}\" of test net {1} has {2} values; watch an output with one value, or "
                       "one of them, as \"{0}[0]\"",
                       metric.name, metric.net, values);
  return 0;
}

std::string find_missing_metric(const WatchedMetric& metric, const LoweredNet& net) {
  std::string problem;
  watched_value(metric, named_outputs(net), &problem);
  return problem;
}

}  // namespace trainer
