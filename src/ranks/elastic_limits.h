// The limits on the number of processes of an elastic run.
#pragma once

namespace trainer {

// The value of --elastic: the run continues with `least` to `most` processes.
struct ElasticLimits {
  int least = 0;  // 0: the run ends when it loses a process
  int most = 0;   // 0: as many as come
};

}  // namespace trainer
