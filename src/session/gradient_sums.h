// Sums the gradients of devices that train together, bucket by bucket during the backward pass.
//
// A bucket is a contiguous part of the flat gradients. Buckets begin at the end, as backward passes compute the
// gradients of the last parameters first.
#pragma once

#include <memory>
#include <vector>

#include "runtime/program.h"
#include "session/device_session.h"

namespace trainer {

class GradientSums {
 public:
  // All ranks have equal gradient groups; `gradients` are members in order.
  GradientSums(const std::vector<DeviceSession*>& ranks, const std::vector<std::string>& gradients);
  // Sums these gradients from then on. No program that was marked runs again.
  void divide(const std::vector<std::string>& gradients);

  // Sets an event of each bucket after the last step of the program that uses its gradients. Call before the first run
  // of a program that makes all gradients.
  void mark(int rank, Program& program);
  // Queues the sums of the gradients of the last run on each rank. Kernels queued after this call read the sums.
  void start();

 private:
  struct Bucket {
    std::vector<std::string> gradients;
    std::vector<float*> data;  // for each rank
    int64_t count = 0;
    std::vector<std::unique_ptr<DeviceEvent>> events;
  };

  const std::vector<DeviceSession*> ranks_;
  std::vector<Bucket> buckets_;
  std::unique_ptr<AllReduce> sum_;
};

}  // namespace trainer
