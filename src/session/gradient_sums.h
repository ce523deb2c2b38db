// The gradients of devices that train together, summed bucket by bucket while the backward pass goes on to make the
// rest.
//
// A bucket is a run of neighbours in the flat gradients; backward passes make the last parameters' gradients first.
#pragma once

#include <memory>
#include <vector>

#include "runtime/program.h"
#include "session/device_session.h"

namespace trainer {

class GradientSums {
 public:
  // Of devices with equal "gradients", of these parameters in their sequence.
  GradientSums(const std::vector<DeviceSession*>& ranks, const std::vector<std::string>& gradients);

  // Says where in a program, which makes all gradients, each bucket of this rank is complete and read no more; before
  // the program's first run.
  void mark(int rank, Program& program);
  // Queues the sums of what the programs that were run last on all ranks make; kernels queued from here on find them.
  void start();

 private:
  struct Bucket {
    std::vector<std::string> gradients;
    std::vector<float*> data;  // for each rank
    int64_t count = 0;
    std::vector<std::unique_ptr<DeviceEvent>> markers;
  };

  std::vector<Bucket> buckets_;
  std::unique_ptr<AllReduce> sum_;
};

}  // namespace trainer
