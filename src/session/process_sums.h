// Sums gradients over the processes that train together, in a separate thread while the pass continues.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "ranks/group.h"
#include "runtime/device.h"
#include "tensor/bf16.h"
#include "trainer.pb.h"

namespace trainer {

// The times of a bucket, in seconds since the start of its pass.
struct BucketTimes {
  double ready = 0, begin = 0, end = 0;
  int64_t bytes = 0;
};

class ProcessSums {
 public:
  ProcessSums(Group& group, caffe::SolverParameter::GradientExchange exchange);
  ~ProcessSums();
  ProcessSums(const ProcessSums&) = delete;
  ProcessSums& operator=(const ProcessSums&) = delete;

  // An event that a pass sets when a bucket is complete.
  std::unique_ptr<DeviceEvent> make_event();

  // Before a pass: this bucket is to be summed once its event is set. Buckets are summed in the order of the calls.
  void expect(DeviceEvent& event, float* data, int64_t count);
  // After the pass: waits until all expected buckets are summed. Throws RankFailed if a process is lost.
  void finish();
  // The pass is abandoned: nothing more is summed.
  void abandon();

  // Of the last pass that finished.
  const std::vector<BucketTimes>& times() const { return times_; }

 private:
  class Event;
  struct Bucket {
    Event* event;
    float* data;
    int64_t count;
  };

  void run();
  void sum(const Bucket& bucket);
  double seconds() const;

  Group& group_;
  const bool rounds_;
  std::vector<Bf16> rounded_;  // the bucket that is being summed
  std::chrono::steady_clock::time_point start_;
  std::mutex mutex_;  // guards all below, and the events
  std::condition_variable wanted_, summed_;
  std::deque<Bucket> buckets_;  // the first one is being summed or waits for its event
  std::vector<BucketTimes> times_, next_times_;
  std::exception_ptr error_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace trainer
