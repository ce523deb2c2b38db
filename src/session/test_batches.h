// Runs the batches of a test, on all processes of a group, and gives the values of their passes in order.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "session/net_session.h"

namespace trainer {

// The PassValues of session/round_report.h, without copies.
struct PassView {
  const std::vector<std::vector<float>>&outputs, &measured, &counted;
  float loss;
  int64_t items;
};

using BeforeBatch = std::function<bool(int64_t)>;
using ReadPass = std::function<void(int64_t, const PassView&)>;

// Runs `batches` batches, numbered from 0. See evaluate() for `before_batch`, errors and groups. Calls `read` with each
// batch in order, on each process. Returns false if `before_batch` stopped it.
bool run_batches(NetSession& net, int64_t batches, const BeforeBatch& before_batch, const ReadPass& read);

}  // namespace trainer
