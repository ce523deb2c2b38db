// The interface of a device: memory, and kernels for the ops of ops/graph.h.
//
// For each op a device has an ordered list of implementations, from the fastest to the plain reference. The device
// chooses the first that supports the attributes, shapes, types and memory formats of the op; the others give a reason.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/host_memory.h"
#include "ops/graph.h"

namespace trainer {

// An op with the descriptors of its operands and results: the input of the choice of a kernel.
struct OpInstance {
  const Op* op = nullptr;
  std::vector<TensorDesc> inputs, outputs;
};
OpInstance instance_of(const Graph& graph, const Op& op);

// The type of the operands of convolutions and large matrix products, and of stored activations. Sums are always f32.
enum class Precision : uint8_t {
  kFP32,
  kTF32,  // stored as f32; tensor cores may round operands to 10 bits of mantissa
  kBF16,
  kFP16,
};
// The value of --precision: "fp32".
const char* name_of(Precision precision);
DType activation_type(Precision precision);

struct DeviceOptions {
  Precision precision = Precision::kFP32;
  // Give the same bits in each run on the same device with the same libraries; excludes some fast kernels.
  bool deterministic = false;
  // If set, logs lines for the user that explain a slow first start.
  std::function<void(const std::string& line)> log;
};

struct RunContext {
  uint64_t pass = 0;  // number of the forward pass; selects the random stream
};

// The cost of a run of a kernel in addition to that of its op (ops/cost.h).
struct KernelCost {
  int64_t launches = 1;  // queued kernels, copies and library calls
  // Bytes read and written in addition to one read of each operand and one write of each result: scratch memory,
  // results that a second launch changes, operands that several launches read.
  int64_t bytes = 0;
  KernelCost& operator+=(const KernelCost& other) {
    launches += other.launches;
    bytes += other.bytes;
    return *this;
  }
};

// An op prepared for fixed shapes. The constructor and bind do all preparation: run allocates nothing and searches
// nothing.
class Kernel {
 public:
  virtual ~Kernel() = default;
  // Scratch memory that run may overwrite, valid during run only; 256-byte aligned on GPUs, elsewhere 64-byte.
  virtual int64_t workspace_bytes() const { return 0; }
  // Called when the addresses are known and after each change; cheap.
  virtual void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) = 0;
  // Computes, or queues the work on a device that runs asynchronously. Called after Device::begin_pass.
  virtual void run(const RunContext& context) = 0;
  // The cost of a run, after bind; the default on the host.
  virtual KernelCost cost() const { return {}; }
  // Whether the work of run can be captured and replayed: not if the host takes part in it.
  virtual bool recordable() const { return true; }
};

// An implementation that was not chosen.
struct Refusal {
  std::string implementation;
  std::string reason;
};

struct KernelChoice {
  std::unique_ptr<Kernel> kernel;
  std::string implementation;  // "onednn", "openblas", "tiles", "reference"
  std::vector<Refusal> refused;
};

// Peak rates, per second.
struct DeviceSpeed {
  double operations = 0;  // of 32-bit floats; a multiply-add counts as two
  double bytes = 0;       // read and written
};

// The manufacturer's figures of a device.
struct DataSheet {
  std::string name;  // "H200"
  DeviceSpeed speed;
  double products = 0;  // operations per second of convolutions and matrix products in the chosen precision
};

// A device does not have the requested memory.
class OutOfMemory : public Error {
 public:
  OutOfMemory(const std::string& message, const std::string& device, int64_t bytes, int64_t free)
      : Error(ExitCode::kDevice, message), device(device), bytes(bytes), free(free) {}
  // `device` as Device::name() gives it.
  static OutOfMemory make(const std::string& device, int64_t bytes, int64_t free);

  const std::string device;
  const int64_t bytes, free;  // of the last request, and free at that time
};

// Copies scalars to the host as soon as kernels have computed them.
class Readback {
 public:
  virtual ~Readback() = default;
  // Queues the copies after the queued kernels. `from` has the address of each float.
  virtual void start(std::span<const void* const> from) = 0;
  // Waits for the copies of the last start. The result is valid until the next start.
  virtual std::span<const float> wait() = 0;
};

// Copies batches to a device that does not read host memory, while the device computes with earlier batches. Each
// buffer has two slots on the device, used in turn.
class Uploads {
 public:
  struct Buffer {
    const void* host = nullptr;
    int64_t bytes = 0;
    void* device = nullptr;
  };
  virtual ~Uploads() = default;
  // Starts the copy of a batch and sets its device addresses. Kernels queued after this call wait for the copy. It
  // reuses the slots of the batch before the last, whose kernels must all be queued.
  virtual void start(std::span<Buffer> buffers) = 0;
  // Waits until the host buffers of the last start can be written again.
  virtual void wait() = 0;
};

// A captured sequence of kernels that can be queued again as a whole.
class CapturedPass {
 public:
  virtual ~CapturedPass() = default;
  virtual void run() = 0;
};

// A point in the queue of a device, after the kernels queued at the last set(), that other work can wait for.
class DeviceEvent {
 public:
  virtual ~DeviceEvent() = default;
  virtual void set() = 0;
};

// An exchange between processes ended early, because one of them is lost or cannot be reached.
class ExchangeFailed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What an all-reduce over several processes needs.
struct AllReduceLink {
  int first = 0, all = 0;  // the number of the first device of this process among all devices, and their number
  bool rounds = false;     // numbers travel as bf16: half the bytes
  // Returns the text of the process with the first device.
  std::function<std::string(const std::string& own)> share;
  // Whether a process is lost. An exchange in which this is so ends with an error.
  std::function<bool()> is_lost;
};

// Sums floats over several devices, concurrently with their kernels. Spans have one entry for each device of this
// process. Several processes call start() and finish() in the same order. With them, each function may throw
// ExchangeFailed; the object is then of no more use, and the memory of the devices is intact apart from the sums.
class AllReduce {
 public:
  virtual ~AllReduce() = default;
  // Call before sums of up to `count` floats, while none is queued.
  virtual void reserve(int64_t) {}
  // After the event of each device, replaces the `count` floats at data[i] on device i by their sum over all devices.
  virtual void start(std::span<DeviceEvent* const> events, std::span<float* const> data, int64_t count) = 0;
  // Kernels queued after this call on any of the devices read the sums. With several processes, waits for the sums:
  // no kernel reads those of an exchange that failed.
  virtual void finish() = 0;
  // With several processes on GPUs: when the devices of this process had done the kernels before the last finish().
  virtual std::optional<std::chrono::steady_clock::time_point> computed() const { return std::nullopt; }
};

// Measures the seconds between marks in the queue of kernels.
class StepTimer {
 public:
  virtual ~StepTimer() = default;
  virtual void mark() = 0;
  // Waits for the last mark. Returns the times between the marks since the last read.
  virtual std::vector<double> read() = 0;
};

// The defaults are for the host: kernels have finished when run() returns, and read host memory.
class Device {
 public:
  virtual ~Device() = default;
  virtual std::string name() const = 0;
  // The rates that the device reaches, measured by this call.
  virtual DeviceSpeed best_speed() = 0;
  // nullopt if it is not known.
  virtual std::optional<DataSheet> data_sheet() const { return std::nullopt; }
  // Why the device has no fast convolutions and matrix products of this precision, with a remedy; or "".
  virtual std::string refuse_precision(Precision precision) const = 0;
  // Whether convolutions and matrix products read weights in the type of the activations, and filters channels-last.
  // Then the compiler packs the weights once in a pass. Otherwise kernels read weights as they are stored.
  virtual bool reads_packed_weights() const { return false; }
  // The multiple of channels that the fastest convolutions need. The compiler pads images with fewer channels.
  virtual int64_t channel_multiple() const { return 1; }
  // Throws a device_error that names the op if no implementation supports it.
  virtual KernelChoice choose(const OpInstance& instance) = 0;
  // The number of ops at the front of `ops`, steps in order, that one kernel of join() computes; 1 if none does.
  virtual size_t joinable(std::span<const OpInstance>) { return 1; }
  // A kernel that computes these ops in order. Its operands are those of all ops in order, and so are its results.
  virtual std::unique_ptr<Kernel> join(std::span<const OpInstance>) { return nullptr; }
  // The sources of the generated kernels chosen so far.
  virtual std::vector<std::string> generated_sources() const { return {}; }
  // The bytes that allocate can still provide.
  virtual int64_t free_memory() = 0;
  // Zeroed, 64-byte aligned; throws OutOfMemory.
  virtual void* allocate(int64_t bytes) = 0;
  virtual void release(void* memory, int64_t bytes) = 0;
  virtual void copy_to_host(void* host, const void* device, int64_t bytes) = 0;
  // Has read the host memory when it returns.
  virtual void copy_from_host(void* device, const void* host, int64_t bytes) = 0;
  // Copies within the memory of the device, after the queued kernels.
  virtual void copy_within(void* to, const void* from, int64_t bytes);

  // Whether kernels run on the host's cores and read its memory.
  virtual bool is_host() const { return true; }
  // Waits for all kernels.
  virtual void synchronize() {}
  // Called before the kernels of a pass.
  virtual void begin_pass(const RunContext&) {}
  virtual std::unique_ptr<Readback> make_readback(size_t count);
  // nullptr if is_host().
  virtual std::unique_ptr<Uploads> make_uploads() { return nullptr; }
  virtual std::unique_ptr<StepTimer> make_step_timer();
  virtual std::unique_ptr<DeviceEvent> make_event();
  // `devices` are all of one kind; the first is this one. `link`: to other processes; nullptr for none.
  virtual std::unique_ptr<AllReduce> make_all_reduce(std::span<Device* const> devices, const AllReduceLink* link);
  // Captures the work that `queue` queues, without running it; nullptr if the device cannot capture it or gains
  // nothing.
  virtual std::unique_ptr<CapturedPass> record(const std::function<void()>&) { return nullptr; }
  // The allocator for buffers that Uploads read.
  virtual HostMemory& host_memory() { return HostMemory::plain(); }
};

}  // namespace trainer
