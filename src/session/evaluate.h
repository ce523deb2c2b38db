// Running a net forward over many batches and averaging its outputs: what `test` and the tests of a training do.
#pragma once

#include <functional>
#include <vector>

#include "report/run_events.h"
#include "session/net_session.h"

namespace trainer {

// One entry an element, as Caffe numbers them: outputs in byte order of their names.
std::vector<OutputValue> output_values(const LoweredNet& net, const std::vector<std::vector<float>>& outputs);

struct Evaluation {
  bool complete = false;             // false where `between` stopped it
  double loss = 0;                   // mean weighted loss
  std::vector<OutputValue> outputs;  // means
};

// `before_batch` is called with the number of each batch and may stop by returning false; `after_batch`, with the
// outputs of that batch, in sequence: on a device that works beside the host when the next one is queued.
Evaluation evaluate(NetSession& net, int iterations, const std::function<bool(int)>& before_batch,
                    const std::function<void(int, const std::vector<std::vector<float>>&)>& after_batch);

}  // namespace trainer
