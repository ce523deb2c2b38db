// Predicts how a training scales over processes that exchange gradients while the backward pass continues.
//
// The model: a bucket of gradients is exchanged once the step that completes it is done and the bucket before it is
// exchanged. An exchange among n devices takes 2 (n - 1) messages one after the other and sends 2 (n - 1) / n of the
// bucket's bytes (a ring: Patarasuk and Yuan 2009). The update follows the last exchange.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "session/net_session.h"
#include "train/update_rule.h"

namespace trainer {

struct Network {
  double bytes_per_second = 0;
  double seconds_per_message = 20e-6;  // TCP in one room
};
// Parses bits per second: "100G" is 100e9, "800M" is 800e6. Throws a config_error for any other text.
Network parse_network(const std::string& text);

// What one device measures.
struct MeasuredPass {
  struct Bucket {
    double ready = 0;  // seconds from the start of the pass
    int64_t bytes = 0;
  };
  double pass = 0, update = 0;  // seconds
  std::vector<Bucket> buckets;  // in the order of their exchange
};
// Runs some iterations. The store has the states of a training.
MeasuredPass measure_pass(NetSession& net, DeviceSession& device_session, UpdateRule& update,
                          caffe::SolverParameter::GradientExchange exchange);

// Seconds of an iteration on each of n devices.
double predict_iteration(const MeasuredPass& measured, int devices, const Network& network);

// Lines for 1, 2, 4, ... devices up to 1,024, and for `world`. `images`: of an iteration on each device.
std::string scaling_table(const MeasuredPass& measured, int world, const Network& network, int64_t images);

}  // namespace trainer
