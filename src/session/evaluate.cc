// Runs a net over batches, averages its outputs and adds up its metrics.
#include "session/evaluate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include "base/error.h"
#include "report/log.h"
#include "session/test_batches.h"
#include "session/test_sums.h"

namespace trainer {
namespace {

using Values = std::vector<std::vector<float>>;
using Metrics = std::vector<std::unique_ptr<Metric>>;

Metrics make_metrics(const LoweredNet& net) {
  Metrics metrics;
  for (const CountedMetric& metric : net.metrics) metrics.push_back(metric.make());
  return metrics;
}

void sort_by_name(std::vector<OutputValue>* outputs) {
  std::stable_sort(outputs->begin(), outputs->end(),
                   [](const OutputValue& a, const OutputValue& b) { return a.name < b.name; });
}

// `reason` names the layer; "" adds nothing.
void add_mixing(const std::string& reason, std::string* text) {
  if (reason.empty()) return;
  *text += (text->empty() ? "results in phase TEST depend on batch_size: " : "; ") + reason;
}

// `epochs`: how often each record was read; 0 for a number of batches.
void add_results(const LoweredNet& net, const Metrics& metrics, int epochs, Evaluation* result) {
  for (size_t i = 0; i < metrics.size(); ++i) {
    const std::string& name = net.metrics[i].name;
    MetricResult made = metrics[i]->result();
    if (made.items) *made.items /= std::max(epochs, 1);
    for (const auto& [part, value] : made.values)
      result->outputs.push_back({part.empty() ? name : fmt::format("{}.{}", name, part),
                                 std::isnan(value) ? std::numeric_limits<double>::quiet_NaN() : value, 0, 0,
                                 made.items});
    if (epochs > 0) add_mixing(made.mixes_records, &result->mixing);
    if (made.table) result->tables.push_back(std::move(*made.table)), result->tables.back().metric = name;
    if (made.confusion)
      result->confusions.push_back(std::move(*made.confusion)), result->confusions.back().metric = name;
  }
  sort_by_name(&result->outputs);
}

// Half of Wilson's 95% interval of a share (Wilson 1927), which is above 0 for shares of 0 and 1 too.
double interval_of(double share, double records) {
  constexpr double kQuantile = 1.959964;
  if (records <= 0) return 0;
  const double spread = kQuantile * kQuantile / records;
  return kQuantile / (1 + spread) * std::sqrt(std::max(0.0, share * (1 - share)) / records + spread / (4 * records));
}

// Whether the divisor is a number of items, not a sum of weights.
bool counts_items(const Averaging& averaging) {
  return averaging.kind == Averaging::Kind::kShare || (averaging.kind == Averaging::Kind::kDivisor && !averaging.sum);
}

void add_means(const LoweredNet& net, const TestSums& sums, int epochs, Evaluation* result) {
  for (size_t k = 0; k < sums.outputs().size(); ++k) {
    const NetOutput& output = net.outputs[k];
    const TestSum& sum = sums.outputs()[k];
    if (output.metric) continue;
    if (sum.changed())
      log_warning(fmt::format("output \"{}\" changes its size from batch to batch: it has no mean", output.name));
    for (size_t e = 0; e < sum.size(); ++e) {
      // Caffe's means are floats.
      const double mean = epochs > 0 ? sum.result(e) : static_cast<float>(sum.result(e));
      OutputValue value{output.name, mean, output.loss_weight};
      if (epochs > 0 && output.averaging.kind == Averaging::Kind::kShare)
        value.interval = interval_of(value.value, sum.divisor(e) / epochs);
      if (epochs > 0 && counts_items(output.averaging)) value.counted = std::llround(sum.divisor(e) / epochs);
      result->outputs.push_back(std::move(value));
    }
  }
}

// What a test adds up, batch after batch.
class Tally {
 public:
  Tally(const LoweredNet& net, int epochs)
      : net_(net), epochs_(epochs), sums_(net, epochs), metrics_(make_metrics(net)) {}

  void add(const PassView& pass) {
    sums_.add(pass.outputs, pass.measured, pass.loss, pass.items);
    std::span<const std::vector<float>> left(pass.counted);
    for (size_t i = 0; i < metrics_.size(); ++i) {
      const size_t values = net_.metrics[i].values.size();
      metrics_[i]->add(left.first(values));
      left = left.subspan(values);
    }
  }

  void finish(Evaluation* result) const {
    result->loss = sums_.loss();
    add_means(net_, sums_, epochs_, result);
    add_results(net_, metrics_, epochs_, result);
  }

 private:
  const LoweredNet& net_;
  const int epochs_;
  TestSums sums_;
  const Metrics metrics_;
};

}  // namespace

std::vector<OutputValue> output_values(const LoweredNet& net, const Values& outputs) {
  std::vector<OutputValue> values;
  for (size_t i = 0; i < outputs.size(); ++i) {
    for (float value : outputs[i]) values.push_back({net.outputs[i].name, value, net.outputs[i].loss_weight});
  }
  return values;
}

std::vector<OutputValue> named_outputs(const LoweredNet& net) {
  Evaluation result;
  for (const NetOutput& output : net.outputs) {
    if (output.metric) continue;
    for (int64_t e = 0; e < output.value.shape().count(); ++e) result.outputs.push_back({output.name, 0});
  }
  add_results(net, make_metrics(net), 1, &result);
  for (OutputValue& output : result.outputs) output.value = 0;
  return result.outputs;
}

std::string mixing_warning(const LoweredNet& net) {
  std::string text;
  for (const LoweredLayer& layer : net.layers) {
    if (!layer.mixes_records.empty())
      add_mixing(fmt::format("{}: {}", subject_of(*layer.param), layer.mixes_records), &text);
  }
  return text;
}

Evaluation evaluate(NetSession& net, const TestLength& length, const std::function<bool(int64_t)>& before_batch,
                    const std::function<void(int64_t, const Values&)>& after_batch) {
  const bool whole_epochs = length.epochs > 0;
  TRAINER_ASSERT(whole_epochs == net.reads_whole_epochs());
  net.share_batches();
  if (whole_epochs) net.start_epoch();
  Evaluation result;
  Tally tally(net.lowered(), length.epochs);
  result.complete = run_batches(net, length.batches_of(net), before_batch, [&](int64_t batch, const PassView& pass) {
    tally.add(pass);
    result.records += pass.items;
    after_batch(batch, pass.outputs);
  });
  if (!result.complete) return result;
  if (whole_epochs) result.records /= length.epochs;
  tally.finish(&result);
  return result;
}

TestResult result_of(Evaluation evaluation, const TestLength& length, const NetSession& net) {
  TestResult result;
  result.loss = evaluation.loss;
  result.outputs = std::move(evaluation.outputs);
  result.images = evaluation.records > 0 ? evaluation.records : net.batch_size() * length.batches_of(net);
  result.whole_set = length.epochs > 0;
  result.tables = std::move(evaluation.tables);
  result.confusions = std::move(evaluation.confusions);
  return result;
}

}  // namespace trainer
