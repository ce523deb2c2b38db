// Sums the gradients of devices that train together, bucket by bucket during the backward pass: of processes on CPUs
// through ProcessSums, of all others through AllReduce.
//
// A bucket is a contiguous part of the flat gradients. Buckets begin at the end, as backward passes compute the
// gradients of the last parameters first.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lowering/lower_net.h"
#include "runtime/program.h"
#include "session/device_session.h"
#include "session/process_sums.h"

namespace trainer {

// A contiguous part of the flat gradients that is summed at once.
struct GradientBucket {
  std::vector<std::string> gradients;
  int64_t begin = 0, count = 0;  // in floats of the group

  // The last step that uses its gradients.
  int last_step(const Program& program) const;
};
// The buckets of these gradients, members of the group in order. The first bucket has the last gradients.
std::vector<GradientBucket> divide_gradients(const StateStore& store, const std::vector<std::string>& gradients);

class GradientSums {
 public:
  // All ranks have equal gradient groups; `gradients` are members in order. `ranks` are those of this process.
  GradientSums(const std::vector<DeviceSession*>& ranks, const std::vector<std::string>& gradients,
               caffe::SolverParameter::GradientExchange exchange = caffe::SolverParameter::FP32);
  // Sums these gradients from then on. No program that was marked runs again.
  void divide(const std::vector<std::string>& gradients);

  // Sets an event of each bucket after the last step of the program that uses its gradients. Call before the first run
  // of a program that makes all gradients.
  void mark(int rank, Program& program);
  // Before the pass on each rank whose gradients are to be summed.
  void begin();
  // After that pass: kernels queued after this call read the sums. Throws RankFailed if a process is lost.
  void finish();
  // The pass ended with an error: nothing is summed.
  void abandon();
  // Of several processes: when the devices of this one had computed the gradients of the last finish(); nullopt if that
  // was when the pass returned.
  std::optional<std::chrono::steady_clock::time_point> computed() const;
  // Of the exchange of processes on CPUs, in order; else empty.
  std::vector<BucketTimes> times() const;
  // The bytes of the gradients as they are exchanged.
  int64_t bytes() const;
  size_t buckets() const { return buckets_.size(); }

 private:
  struct Bucket {
    GradientBucket part;
    std::vector<float*> data;  // for each rank
    std::vector<std::unique_ptr<DeviceEvent>> events;
  };

  void connect();
  void reserve();
  void sum();
  // Runs `exchange`. Throws RankFailed if a process is lost.
  template <typename Exchange>
  void explained(const Exchange& exchange);

  const std::vector<DeviceSession*> ranks_;
  const bool rounds_;  // to 16 bits
  std::vector<Bucket> buckets_;
  std::unique_ptr<ProcessSums> processes_;
  std::unique_ptr<AllReduce> sum_;
};

// The sums of the gradients of a net with these copies in this process; nullptr for one device in all, or if the net
// trains nothing.
std::unique_ptr<GradientSums> sum_gradients(const LoweredNet& net, const std::vector<DeviceSession*>& ranks,
                                            caffe::SolverParameter::GradientExchange exchange);

}  // namespace trainer
