// What a device is to the rest of the program: memory, and kernels for the ops of ops/graph.h.
//
// For each op a device has an ordered list of implementations, fastest first, the plain reference last. The first
// that can take the op's attributes, shapes, dtypes and orders is chosen; the others say why they could not.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ops/graph.h"

namespace trainer {

// An op with the descriptors of its operands and results: all that choosing a kernel depends on.
struct OpInstance {
  const Op* op = nullptr;
  std::vector<TensorDesc> inputs, outputs;
};
OpInstance instance_of(const Graph& graph, const Op& op);

struct RunContext {
  uint64_t pass = 0;  // number of the forward pass: the stream of random draws
};

// An op made ready for fixed shapes. Everything that can be made beforehand is made in the constructor or in bind:
// run allocates nothing and looks nothing up.
class Kernel {
 public:
  virtual ~Kernel() = default;
  // Scratch memory that run may overwrite, valid during run only; 64-byte aligned.
  virtual int64_t workspace_bytes() const { return 0; }
  // Called when addresses become known and whenever one changes; cheap.
  virtual void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) = 0;
  virtual void run(const RunContext& context) = 0;
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

class Device {
 public:
  virtual ~Device() = default;
  virtual std::string name() const = 0;
  // The best that the device reaches, measured now.
  virtual DeviceSpeed best_speed() = 0;
  // Why it has no fast kernels for convolutions and matrix products of this type, and what helps; or "".
  virtual std::string refuse_precision(DType precision) const = 0;
  // Throws a device_error naming the op where not even the reference takes it.
  virtual KernelChoice choose(const OpInstance& instance) = 0;
  // The texts of the kernels chosen so far that are compiled for them alone; none where all are part of the device.
  virtual std::vector<std::string> generated_texts() const { return {}; }
  // Zeroed, 64-byte aligned; throws a device_error saying how much was asked for and how much is free.
  virtual void* allocate(int64_t bytes) = 0;
  virtual void release(void* memory, int64_t bytes) = 0;
  virtual void copy_to_host(void* host, const void* device, int64_t bytes) = 0;
  virtual void copy_from_host(void* device, const void* host, int64_t bytes) = 0;
};

// "cpu"; a GPU by its name "cuda:0". Throws a device_error that names the cause.
std::unique_ptr<Device> open_device(const std::string& name);

}  // namespace trainer
