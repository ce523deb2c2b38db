// What a device is to the rest of the program: memory, and kernels for the ops of ops/graph.h.
//
// For each op a device has an ordered list of implementations, fastest first, the plain reference last. The first
// that can take the op's attributes, shapes, dtypes and orders is chosen; the others say why they could not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/host_memory.h"
#include "ops/graph.h"

namespace trainer {

// An op with the descriptors of its operands and results: all that choosing a kernel depends on.
struct OpInstance {
  const Op* op = nullptr;
  std::vector<TensorDesc> inputs, outputs;
};
OpInstance instance_of(const Graph& graph, const Op& op);

// What convolutions and large matrix products multiply, and activations are stored as; what they sum is f32
// always.
enum class Precision : uint8_t {
  kFP32,
  kTF32,  // stored as f32; tensor cores may round what they multiply to 10 bits of mantissa
  kBF16,
  kFP16,
};
// As --precision says it: "fp32".
const char* name_of(Precision precision);
DType activation_type(Precision precision);

// How a device is to compute.
struct DeviceOptions {
  Precision precision = Precision::kFP32;
  // The same bits each time on one device and its libraries, at the price of kernels that are faster without.
  bool deterministic = false;
  // Where set, takes a line for the user on what makes a first run start slowly.
  std::function<void(const std::string& line)> tell;
};

struct RunContext {
  uint64_t pass = 0;  // number of the forward pass: the stream of random draws
};

// What a run of a kernel costs that its op does not say (ops/cost.h).
struct KernelCost {
  int64_t launches = 1;  // kernels, copies and calls of libraries that it queues
  // Read and written beside operands read once and results written once: scratch, a result that a second launch
  // changes, operands that several launches read.
  int64_t bytes = 0;
  KernelCost& operator+=(const KernelCost& other) {
    launches += other.launches;
    bytes += other.bytes;
    return *this;
  }
};

// An op made ready for fixed shapes. Everything that can be made beforehand is made in the constructor or in bind:
// run allocates nothing and looks nothing up.
class Kernel {
 public:
  virtual ~Kernel() = default;
  // Scratch memory that run may overwrite, valid during run only; 256-byte aligned on GPUs, elsewhere 64-byte.
  virtual int64_t workspace_bytes() const { return 0; }
  // Called when addresses become known and whenever one changes; cheap.
  virtual void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) = 0;
  // Computes, or where the device works beside the host, queues the work; within a pass that Device::begin_pass began.
  virtual void run(const RunContext& context) = 0;
  // Of a run, once addresses are known; of a device that is the host the default.
  virtual KernelCost cost() const { return {}; }
  // Whether what run queues, recorded once, computes the same again: not where the host takes part.
  virtual bool recordable() const { return true; }
};

// An implementation passed over and why.
struct Refusal {
  std::string implementation;
  std::string reason;
};

struct KernelChoice {
  std::unique_ptr<Kernel> kernel;
  std::string implementation;  // "onednn", "openblas", "tiles", "reference"
  std::vector<Refusal> refused;
};

// In a second.
struct DeviceSpeed {
  double operations = 0;  // of 32-bit floats; a multiply-add counts as two
  double bytes = 0;       // read and written
};

// What its maker says of a device.
struct DataSheet {
  std::string name;  // "H200"
  DeviceSpeed speed;
  double products =
      0;  // operations in a second of convolutions and matrix products in the precision that it computes with
};

// A device has not the memory that it was asked for.
class OutOfMemory : public Error {
 public:
  OutOfMemory(const std::string& message, const std::string& device, int64_t bytes, int64_t free)
      : Error(ExitCode::kDevice, message), device(device), bytes(bytes), free(free) {}
  // `device` as Device::name() gives it.
  static OutOfMemory make(const std::string& device, int64_t bytes, int64_t free);

  const std::string device;
  const int64_t bytes, free;  // asked for at last, and there then
};

// Scalars that kernels make, handed to the host as soon as they are known.
class Readback {
 public:
  virtual ~Readback() = default;
  // Queues their copy behind the kernels so far. `from`: an address for each, of a float.
  virtual void start(std::span<const void* const> from) = 0;
  // Waits for the last start; valid until the next one.
  virtual std::span<const float> wait() = 0;
};

// Brings batches to a device that does not read the host's memory, while it computes with those before: each buffer has
// two places there, in turn.
class Uploads {
 public:
  struct Buffer {
    const void* host = nullptr;
    int64_t bytes = 0;
    void* device = nullptr;
  };
  virtual ~Uploads() = default;
  // Begins to copy a batch and fills in where it comes to lie. Kernels queued from here on wait for it; its places are
  // those of the batch before the last, whose kernels must all be queued.
  virtual void start(std::span<Buffer> buffers) = 0;
  // Waits until the host's buffers of the last start may be written again.
  virtual void wait() = 0;
};

// Kernels as they were queued once, to be queued again as one.
class CapturedPass {
 public:
  virtual ~CapturedPass() = default;
  virtual void run() = 0;
};

// A place among the kernels of a device, behind those queued when it was set last, which other work waits for.
class DeviceEvent {
 public:
  virtual ~DeviceEvent() = default;
  virtual void set() = 0;
};

// Sums of floats over several devices, beside their kernels. Spans hold an entry for each device.
class AllReduce {
 public:
  virtual ~AllReduce() = default;
  // Once every device has come to its marker, replaces the `count` floats at data[i] on device i by their sum over all.
  virtual void start(std::span<DeviceEvent* const> markers, std::span<float* const> data, int64_t count) = 0;
  // Kernels queued from here on, on any of the devices, find the sums.
  virtual void finish() = 0;
};

// The seconds between marks set among the kernels.
class StepTimer {
 public:
  virtual ~StepTimer() = default;
  virtual void mark() = 0;
  // Waits for the last mark; one number fewer than marks since the last read.
  virtual std::vector<double> read() = 0;
};

// The defaults are those of a device that is the host: kernels have run when run() returns, and read the host's memory.
class Device {
 public:
  virtual ~Device() = default;
  virtual std::string name() const = 0;
  // The best that the device reaches, measured now.
  virtual DeviceSpeed best_speed() = 0;
  // Nothing where none is known.
  virtual std::optional<DataSheet> data_sheet() const { return std::nullopt; }
  // Why it has no fast kernels for convolutions and matrix products of this precision, and what helps; or "".
  virtual std::string refuse_precision(Precision precision) const = 0;
  // Throws a device_error naming the op where not even the reference takes it.
  virtual KernelChoice choose(const OpInstance& instance) = 0;
  // The texts of the kernels chosen so far that are compiled for them alone; none where all are part of the device.
  virtual std::vector<std::string> generated_texts() const { return {}; }
  // Bytes that allocate may still find.
  virtual int64_t free_memory() = 0;
  // Zeroed, 64-byte aligned; throws OutOfMemory.
  virtual void* allocate(int64_t bytes) = 0;
  virtual void release(void* memory, int64_t bytes) = 0;
  virtual void copy_to_host(void* host, const void* device, int64_t bytes) = 0;
  virtual void copy_from_host(void* device, const void* host,
                              int64_t bytes) = 0;  // has read the host's memory when it returns

  // Whether kernels take the host's cores and read its memory.
  virtual bool is_host() const { return true; }
  // Waits for all kernels.
  virtual void synchronize() {}
  // Before the kernels of a pass.
  virtual void begin_pass(const RunContext&) {}
  virtual std::unique_ptr<Readback> make_readback(size_t count);
  // nullptr where is_host().
  virtual std::unique_ptr<Uploads> make_uploads() { return nullptr; }
  virtual std::unique_ptr<StepTimer> make_step_timer();
  virtual std::unique_ptr<DeviceEvent> make_event();
  // Over `devices`, of which this is the first and all are of its kind.
  virtual std::unique_ptr<AllReduce> make_all_reduce(std::span<Device* const> devices);
  // What `queue` queues, none of which runs; nullptr where this device cannot record it or would gain nothing.
  virtual std::unique_ptr<CapturedPass> record(const std::function<void()>&) { return nullptr; }
  // For buffers that Uploads read.
  virtual HostMemory& host_memory() { return HostMemory::plain(); }
};

// "cpu"; a GPU by its name "cuda:0"; with "plan:" before it, the same for plans only (runtime/planning_device.h).
// Throws a device_error that names the cause.
std::unique_ptr<Device> open_device(const std::string& name, const DeviceOptions& options = {});

// Why this installation cannot compute on any GPU, whatever GPUs there are: the plugin or a library that it
// needs is not there; or "". Opens them, and no GPU.
std::string refuse_gpus();

}  // namespace trainer
