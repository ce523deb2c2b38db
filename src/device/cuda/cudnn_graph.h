// cuDNN's graph interface: descriptors, and plans of operation graphs.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/cuda/context.h"

namespace trainer::cuda {

// What cuDNN does not take, in its words.
class CudnnRefusal : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : descriptor_(other.descriptor_) { other.descriptor_ = nullptr; }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  // Each throws a CudnnRefusal; the setters return *this.
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values);
  Descriptor& set(cudnnBackendAttributeName_t name, int64_t value);
  Descriptor& set(cudnnBackendAttributeName_t name, float value);
  Descriptor& set(cudnnBackendAttributeName_t name, bool value);
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnDataType_t value);
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value);
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count, const void* values);
  Descriptor& finalize();

  int64_t read_int64(cudnnBackendAttributeName_t name) const;
  std::string read_text(cudnnBackendAttributeName_t name) const;
  cudnnBackendDescriptor_t get() const { return descriptor_; }

 private:
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

cudnnDataType_t cudnn_type(DType dtype);

// A tensor of a graph. One without a number (0) is an intermediate result that is not stored.
Descriptor cudnn_tensor(int64_t number, cudnnDataType_t type, const std::vector<int64_t>& extents, const std::vector<int64_t>& strides);

// A tensor of a graph that is stored.
struct CudnnOperand {
  int64_t number = 0, bytes = 0;
};

// A way to compute a graph, ready to run.
class CudnnPlan {
 public:
  CudnnPlan(Descriptor finished, std::vector<CudnnOperand> operands);

  const Descriptor& descriptor() const { return plan_; }
  int64_t workspace_bytes() const { return workspace_; }
  // What a run needs to know: an address for each operand.
  Descriptor pack(std::span<void* const> addresses, void* workspace) const;
  void run(Context& context, const Descriptor& pack) const;

 private:
  Descriptor plan_;
  std::vector<CudnnOperand> operands_;
  int64_t workspace_;
};

// The fastest of the heuristics' choices that the device takes and that compute as `context.options` say, or what an
// earlier run found to be it. `operands`: of the tensors that are stored. `floats`: whether the inputs are, which tensor
// cores round to TF32. `signature`: all that the graph depends on. Throws a CudnnRefusal.
std::unique_ptr<CudnnPlan> choose_plan(Context& context, const std::vector<const Descriptor*>& operations,
                                       const std::vector<CudnnOperand>& operands, bool floats, const std::string& signature);

}  // namespace trainer::cuda
