// Streams as queues of work, events as places in them, and the capture of work into graphs.
//
// Work runs when somebody must wait for it, a stream at a time and no further than needed; with
// EMULATED_GPU_ORDER=eager as soon as it is queued. What is not synchronised gives different numbers in the two.
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

// A place in a stream that an event marks.
struct Record {
  std::shared_ptr<Stream> stream;
  bool done = false;
  std::chrono::steady_clock::time_point time;
  std::weak_ptr<Capture> capture;
  bool captured = false;
  std::map<int, size_t> known;  // captured: for each branch how many of its steps come before
};

// Something to run, a record to be reached or one to be waited for.
struct Work {
  std::string name;
  uint32_t devices = 0;  // whose memories it may touch
  std::function<void()> run;
  std::shared_ptr<Record> reaches, waits_for;
  std::weak_ptr<Event> outside;  // in a graph: the event of an external record or wait
};

struct Graph {
  struct Step {
    int branch;  // 0: of the stream that the graph is launched into
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
// The live streams. Devices have no default ones.
std::set<std::shared_ptr<Stream>>& streams();

// Whether it failed (EMULATED_GPU_FAULT): its streams go no further, those of others come to where they wait for it.
bool has_failed(int device);
// What others wait for of devices that failed is done, and collectives with them do nothing.
void give_up_failed();

inline long long queued_work = 0;  // what runs, captured or not
cudaError_t enqueue(const std::shared_ptr<Stream>& stream, Work work);
// Runs what is queued, up to `until` where there is one, as far as failed devices allow.
void execute(Stream& stream, const Record* until = nullptr);
void execute_device(int device);
// The same for who waits for it: an error where the stream's device has failed; ends the process where that of another
// means waiting for ever.
cudaError_t finish(Stream& stream, const Record* until = nullptr);

cudaError_t record(const std::shared_ptr<Event>& event, const std::shared_ptr<Stream>& stream, bool external);
cudaError_t wait_for(const std::shared_ptr<Event>& event, const std::shared_ptr<Stream>& stream, bool external);

cudaError_t begin_capture(const std::shared_ptr<Stream>& stream, cudaStreamCaptureMode mode);
cudaError_t end_capture(const std::shared_ptr<Stream>& stream, Graph* graph);
// cudaSuccess, or what a call gets that may not be made while streams of this thread, or with `device` of that device,
// are captured; these captures fail.
cudaError_t unsafe_call(int device = -1);
cudaError_t launch(const Graph& graph, const std::shared_ptr<Stream>& stream);

}  // namespace emulator
