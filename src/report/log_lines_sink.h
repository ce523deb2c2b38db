// The plain log lines of a run, as in Caffe's log.
#pragma once

#include "report/run_events.h"

namespace trainer {

class LogLinesSink : public RunSink {
 public:
  void begin(const RunInfo& info) override;
  void train_display(const TrainDisplay& display, const TrainPace& pace) override;
  void test_begin(int64_t iteration, int net) override;
  void test_result(const TestResult& result, double seconds) override;
  void snapshot(const SnapshotFiles& files) override;
  void best(const NewBest& best) override;
  void retry(const Retry& retry) override;
  void final_loss(int64_t iteration, double loss) override;
  void note(const std::string& text) override;
  void warning(const std::string& text) override;
  void end(const RunEnd& end) override;

 private:
  int64_t display_ = 0;
};

}  // namespace trainer
