// Runs a net over batches and averages its outputs.
#include "session/evaluate.h"

#include <fmt/format.h>

#include "base/error.h"
#include "report/log.h"

namespace trainer {

std::vector<OutputValue> output_values(const LoweredNet& net, const std::vector<std::vector<float>>& outputs) {
  std::vector<OutputValue> values;
  for (size_t i = 0; i < outputs.size(); ++i) {
    for (float value : outputs[i]) values.push_back({net.outputs[i].name, value, net.outputs[i].loss_weight});
  }
  return values;
}

Evaluation evaluate(NetSession& net, int iterations, const std::function<bool(int)>& before_batch,
                    const std::function<void(int, const std::vector<std::vector<float>>&)>& after_batch) {
  Evaluation result;
  std::vector<std::vector<double>> sums;
  std::vector<bool> changing;
  int queued = 0, read = 0;
  const auto read_until = [&](int end) {
    for (; read < end; ++read) {
      net.finish();
      result.loss += net.loss();
      const std::vector<std::vector<float>>& outputs = net.read_outputs();
      if (sums.empty()) sums.resize(outputs.size()), changing.resize(outputs.size());
      for (size_t k = 0; k < outputs.size(); ++k) {
        if (sums[k].empty()) sums[k].resize(outputs[k].size(), 0.0);
        // An output whose size changes has no mean.
        if (sums[k].size() != outputs[k].size()) changing[k] = true;
        if (changing[k]) continue;
        for (size_t e = 0; e < outputs[k].size(); ++e) sums[k][e] += outputs[k][e];
      }
      after_batch(read, outputs);
    }
  };
  for (; queued < iterations && before_batch(queued); ++queued) {
    try {
      net.queue_next(ProgramKind::kForward, true);
    } catch (const Error&) {
      read_until(queued);  // batches before a bad one count
      throw;
    }
    read_until(net.runs_ahead() ? queued : queued + 1);
  }
  read_until(queued);
  if (queued < iterations) return result;
  result.loss /= iterations;
  std::vector<std::vector<float>> means(sums.size());
  for (size_t k = 0; k < sums.size(); ++k) {
    if (changing[k])
      log_warning(fmt::format("output \"{}\" changes its size from batch to batch: it has no mean",
                              net.lowered().outputs[k].name));
    else
      for (double sum : sums[k]) means[k].push_back(static_cast<float>(sum / iterations));
  }
  result.outputs = output_values(net.lowered(), means);
  result.complete = true;
  return result;
}

}  // namespace trainer
