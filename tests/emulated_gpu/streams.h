// Streams as queues of work, events as positions in them, and stream capture into graphs.
//
// Work runs when something waits for it, one stream at a time and no further than necessary. With
// EMULATED_GPU_ORDER=eager it runs as soon as it is queued. Missing synchronization gives different numbers in the two.
#pragma once

#include <cuda_runtime_api.h>

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace emulator {

struct Stream;
struct Event;
struct Capture;

// The position in a stream where an event was recorded.
struct Record {
  std::shared_ptr<Stream> stream;
  bool done = false;
  std::chrono::steady_clock::time_point time;
  std::weak_ptr<Capture> capture;
  bool captured = false;
  std::map<int, size_t> known;  // captured: by branch, how many of its steps come before
};

// A function to run, a record to reach, or a record to wait for.
struct Work {
  std::string name;
  uint32_t devices = 0;  // a mask: whose memories it may access
  std::function<void()> run;
  std::function<bool()> ready;  // whether work that waits for another process can run; empty for other work
  std::shared_ptr<Record> reaches, waits_for;
  std::weak_ptr<Event> outside;  // in a graph: the event of an external record or wait
};

struct Graph {
  struct Step {
    int branch;  // 0: the stream of the launch
    Work work;
  };
  std::vector<Step> steps;
  int branches = 0;
};

struct Capture {
  Graph graph;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  bool invalid = false;
  std::vector<std::shared_ptr<Stream>> streams;  // by branch
  std::vector<std::map<int, size_t>> known;      // by branch, as in Record
  std::vector<size_t> steps, last_work;          // by branch
};

struct Stream {
  int number = 0, device = 0;
  std::deque<Work> queue;
  std::shared_ptr<Capture> capture;
  int branch = 0;
};

struct Event {
  int device = 0;
  bool timed = true;
  std::shared_ptr<Record> record;
};

bool is_eager();
// The live streams. Devices have no default stream.
std::set<std::shared_ptr<Stream>>& streams();

// Whether a device failed (EMULATED_GPU_FAULT): its streams stop, and other streams stop where they wait for it.
bool has_failed(int device);
// Completes the work of failed devices that others wait for; collectives with them do nothing.
void give_up_failed();

inline long long queued_work = 0;  // work with a function, captured or not
cudaError_t enqueue(const std::shared_ptr<Stream>& stream, Work work);
// Runs queued work, up to `until` if it is set, as far as failed devices permit.
void execute(Stream& stream, const Record* until = nullptr);
void execute_device(int device);
// The same for a thread that waits, also for other processes. Returns an error if the stream's device has failed. Ends
// the process if the wait would be endless because another device has failed.
cudaError_t synchronize(Stream& stream, const Record* until = nullptr);

cudaError_t record(const std::shared_ptr<Event>& event, const std::shared_ptr<Stream>& stream, bool external);
cudaError_t wait_for(const std::shared_ptr<Event>& event, const std::shared_ptr<Stream>& stream, bool external);

cudaError_t begin_capture(const std::shared_ptr<Stream>& stream, cudaStreamCaptureMode mode);
cudaError_t end_capture(const std::shared_ptr<Stream>& stream, Graph* graph);
// The result of a call that is not permitted during a capture by this thread, or on `device` if it is set: cudaSuccess
// if there is no such capture. Invalidates these captures.
cudaError_t unsafe_call(int device = -1);
cudaError_t launch(const Graph& graph, const std::shared_ptr<Stream>& stream);

}  // namespace emulator
