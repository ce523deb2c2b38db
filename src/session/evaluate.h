// Runs a net forward over many batches and averages its outputs, for `test` and the tests of a training.
#pragma once

#include <functional>
#include <vector>

#include "report/run_events.h"
#include "session/net_session.h"

namespace trainer {

// One entry for each element, as Caffe numbers them: outputs in byte order of their names.
std::vector<OutputValue> output_values(const LoweredNet& net, const std::vector<std::vector<float>>& outputs);

struct Evaluation {
  bool complete = false;             // false if `before_batch` stopped it
  double loss = 0;                   // mean weighted loss
  std::vector<OutputValue> outputs;  // means
};

// Calls `before_batch` with the number of each batch and stops if it returns false. Calls `after_batch` with the
// outputs of each batch in order; on a GPU after the next batch is queued.
Evaluation evaluate(NetSession& net, int iterations, const std::function<bool(int)>& before_batch,
                    const std::function<void(int, const std::vector<std::vector<float>>&)>& after_batch);

}  // namespace trainer
