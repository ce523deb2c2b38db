// Measures a pass and simulates its exchanges.
#include "cli/scaling.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/text.h"
#include "session/gradient_sums.h"
#include "session/parameters.h"
#include "session/state_names.h"

namespace trainer {

Network parse_network(const std::string& text) {
  double number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(end, text.data() + text.size());
  const double scale = unit == "G" ? 1e9 : unit == "M" ? 1e6 : 0;
  if (problem != std::errc() || !(number > 0) || !std::isfinite(number) || scale == 0)
    throw config_error("--network={}: not a rate in bits per second; write 10G, 100G or 800M", text);
  Network network;
  network.bytes_per_second = number * scale / 8;
  return network;
}

MeasuredPass measure_pass(NetSession& net, DeviceSession& device_session, UpdateRule& update,
                          caffe::SolverParameter::GradientExchange exchange) {
  constexpr int kIterations = 3;
  std::vector<double> steps, update_steps, first;
  net.run_next(ProgramKind::kTrain);
  update.run_timed({}, 0, &first);
  for (int i = 0; i < kIterations; ++i) {
    net.run_next_timed(ProgramKind::kTrain, &steps);
    update.run_timed({}, i, &update_steps);
  }
  MeasuredPass measured;
  std::vector<double> ends;  // of the steps
  for (const double seconds : steps) ends.push_back(measured.pass += seconds / kIterations);
  for (const double seconds : update_steps) measured.update += seconds / kIterations;
  const std::shared_ptr<const Program> program = net.program(ProgramKind::kTrain);
  std::vector<std::string> gradients;
  for (const ParameterInfo* parameter : trained_parameters(net.lowered()))
    gradients.push_back(gradient_state(parameter->state));
  const int64_t size = exchange == caffe::SolverParameter::BF16 ? 2 : 4;
  for (const GradientBucket& bucket : divide_gradients(device_session.store, gradients))
    measured.buckets.push_back({ends[static_cast<size_t>(bucket.last_step(*program))], bucket.count * size});
  return measured;
}

double predict_iteration(const MeasuredPass& measured, int devices, const Network& network) {
  double exchanged = 0;
  const double messages = 2.0 * (devices - 1);
  for (const MeasuredPass::Bucket& bucket : measured.buckets) {
    const double sent = messages / devices * static_cast<double>(bucket.bytes);
    exchanged =
        std::max(exchanged, bucket.ready) + messages * network.seconds_per_message + sent / network.bytes_per_second;
  }
  return (devices == 1 ? measured.pass : std::max(measured.pass, exchanged)) + measured.update;
}

std::string scaling_table(const MeasuredPass& measured, int world, const Network& network, int64_t images) {
  std::set<int> counts = {world};
  for (int devices = 1; devices <= 1024; devices *= 2) counts.insert(devices);
  int64_t bytes = 0;
  for (const MeasuredPass::Bucket& bucket : measured.buckets) bytes += bucket.bytes;
  const double alone = predict_iteration(measured, 1, network);
  std::string text = fmt::format(
      "\nPrediction for processes of one such device each: a pass of {:.4g} ms, an update of {:.3g} ms, {} of "
      "gradients in {} parts,\n{:.4g} Gbit/s and {:.3g} us for each message\n{:>8} {:>14} {:>16} {:>14} {:>11}\n",
      1e3 * measured.pass, 1e3 * measured.update, format_bytes(bytes), measured.buckets.size(),
      network.bytes_per_second * 8e-9, 1e6 * network.seconds_per_message, "devices", "iteration", "images/s", "exposed",
      "efficiency");
  for (const int devices : counts) {
    const double seconds = predict_iteration(measured, devices, network);
    text += fmt::format("{:>8} {:>11.4g} ms {:>16.4g} {:>11.3g} ms {:>10.1f}%{}\n", devices, 1e3 * seconds,
                        static_cast<double>(images * devices) / seconds, 1e3 * (seconds - alone), 100 * alone / seconds,
                        devices == world ? "  <" : "");
  }
  return text;
}

}  // namespace trainer
