// The interface of an engine that exchanges numbers between processes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tensor/bf16.h"

namespace trainer {

// An exchange ended early: a peer is gone, or abort() was called. The message is the engine's.
class LaneError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Connections between all processes of a group. All processes call the same functions in the same order, each from one
// thread at a time. Each function may throw a LaneError; the lane is then of no more use.
class Lane {
 public:
  virtual ~Lane() = default;
  // Replaces the numbers by their sums over all processes: the same bits on each.
  virtual void sum(float* data, int64_t count) = 0;
  virtual void sum(Bf16* data, int64_t count) = 0;
  // Replaces the bytes by those of process `root`.
  virtual void broadcast(void* data, int64_t bytes, int root) = 0;
  // The texts of all processes, by rank; they may differ in length.
  virtual std::vector<std::string> gather(const std::string& own) = 0;
  // Ends what runs in another thread with a LaneError, and all later calls.
  virtual void abort(const std::string& reason) noexcept = 0;
};

// What an engine needs to connect the processes of a group.
struct LaneRequest {
  int rank = 0, size = 1;
  std::string address;  // of this host in the cluster's network, as a number
  // Gives `own` to the other processes and returns what all gave, by rank.
  std::function<std::vector<std::string>(const std::string& own)> swap;
};

}  // namespace trainer
