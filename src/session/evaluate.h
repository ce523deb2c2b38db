// Runs a net forward over many batches, averages its outputs and adds up its metrics, for `test` and the tests of a
// training.
#pragma once

#include <functional>
#include <vector>

#include "report/run_events.h"
#include "session/net_session.h"

namespace trainer {

// One entry for each element, as Caffe numbers them: outputs in byte order of their names.
std::vector<OutputValue> output_values(const LoweredNet& net, const std::vector<std::vector<float>>& outputs);
// The outputs of a test, with the values of metrics in place of their tops; all values are 0.
std::vector<OutputValue> named_outputs(const LoweredNet& net);

// The batches of a test: a number of them, or all of a number of passes over the data of a net that reads whole epochs.
struct TestLength {
  int batches = 0;
  int epochs = 0;  // 0: `batches`

  int64_t batches_of(const NetSession& net) const {
    return epochs > 0 ? epochs * net.data().batches_per_epoch() : batches;
  }
};

struct Evaluation {
  bool complete = false;  // false if `before_batch` stopped it
  // As Caffe, a test of a number of batches gives the means of the values of the batches. A test of whole epochs gives
  // the values of a single batch of all records.
  double loss = 0;  // weighted
  std::vector<OutputValue> outputs;
  int64_t records = 0;  // that were read, in each epoch
  std::string mixing;   // of whole epochs: as mixing_warning, by what the test counted
  std::vector<ClassTable> tables;
  std::vector<ConfusionMatrix> confusions;
};

// NetSession::measure must have been called. Calls `before_batch` with the number of each batch and stops if it returns
// false. Calls `after_batch` with the outputs of each batch in order; on a GPU after the next batch is queued.
//
// The processes of the device session's group evaluate together: all call this function, and all get the results that
// one process gets, bit for bit. Each runs the batches that it owns (NetSession::share_batches) and asks `before_batch`
// before these; once it has returned false on one of them, all stop after the same batch. `after_batch` is called for
// all batches on each process. Neither may use the group. An error of one process is a RankFailed on the others.
Evaluation evaluate(NetSession& net, const TestLength& length, const std::function<bool(int64_t)>& before_batch,
                    const std::function<void(int64_t, const std::vector<std::vector<float>>&)>& after_batch);
// What a complete evaluation of this length shows; without a number of test net and iteration.
TestResult result_of(Evaluation evaluation, const TestLength& length, const NetSession& net);

// A warning that names the layers whose items depend on the other items of a batch for all data, so that a test of the
// whole data set depends on batch_size; "" if there are none.
std::string mixing_warning(const LoweredNet& net);

}  // namespace trainer
