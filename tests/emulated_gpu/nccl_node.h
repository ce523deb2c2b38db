// The ranks of one process in a communicator of several processes, on one host. The process that makes the identifier
// sums for all: the others send it their numbers over the loopback interface.
#pragma once

#include <nccl.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace emulator {

// Listens for the processes of a communicator, and sums for them in a thread. Returns the identifier.
std::string serve_exchanges();

struct Exchange {
  std::vector<std::vector<float>> own;  // of each rank of this process
  std::vector<float> sum;               // of all ranks
  std::atomic<bool> done = false;
};

class Node {
 public:
  // Connects in a thread.
  Node(const std::string& id, int world, std::vector<int> ranks);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  // ncclInProgress until all ranks are connected; ncclRemoteError once another process is gone.
  ncclResult_t state() const { return state_; }
  // Exchanges run one after the other. One that fails never ends.
  void want(std::shared_ptr<Exchange> exchange);
  // Ends the connection.
  void abort();
  bool is_aborted() const { return aborted_; }

 private:
  void run(const std::string& id, int world);
  void connect(const std::string& id, int world);
  void exchange(Exchange& exchange);

  const std::vector<int> ranks_;
  int socket_ = -1;
  std::atomic<ncclResult_t> state_ = ncclInProgress;
  std::atomic<bool> aborted_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Exchange>> wanted_;
  std::thread thread_;
};

}  // namespace emulator
