// Runs a training, alone or together with other processes, and continues when one of them is lost.
#pragma once

#include <functional>
#include <memory>

#include "ranks/elastic_limits.h"
#include "ranks/launcher.h"
#include "ranks/meeting_client.h"
#include "train/open_training.h"
#include "train/rate_scaling.h"

namespace trainer {

struct RanksRequest {
  LaunchedRank launched;
  ElasticLimits elastic;
  MeetingWait wait;
};

struct TrainingOutcome {
  TrainingEnd end = TrainingEnd::kDone;
  int stop_signal = 0;  // see Training::stop_signal
};

// What the command shows of a training.
class TrainingView {
 public:
  virtual ~TrainingView() = default;
  // The report of a training, or of its part with the same processes. `first`: this process writes the files.
  virtual std::unique_ptr<RunReport> make_report(bool first) = 0;
  // The training is open and will run.
  virtual void opened(const Training& training, RunReport& report) = 0;
};

// Throws what open_training and Training::run throw. With several processes, an Error names the process that
// throws it; a DiagnosticsError is passed on unchanged.
TrainingOutcome run_training(const TrainingRequest& request, const RanksRequest& ranks, TrainingView& view);

}  // namespace trainer
