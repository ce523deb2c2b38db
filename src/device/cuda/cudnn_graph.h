// cuDNN's graph API: descriptors, and execution plans of operation graphs.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/cuda/context.h"

namespace trainer::cuda {

// cuDNN does not support a graph. what() is its message.
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

  // All throw a CudnnRefusal; the setters return *this. A value must have the type of its attribute, because cuDNN does
  // not convert it: the scales of convolutions are floats, the parameters of pointwise operations are doubles.
  Descriptor& set(cudnnBackendAttributeName_t name, const std::vector<int64_t>& values);
  Descriptor& set(cudnnBackendAttributeName_t name, int64_t value);
  Descriptor& set(cudnnBackendAttributeName_t name, float value);
  Descriptor& set(cudnnBackendAttributeName_t name, double value);
  Descriptor& set(cudnnBackendAttributeName_t name, bool value);
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnDataType_t value);
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value);
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                  const void* values);
  Descriptor& finalize();

  int64_t read_int64(cudnnBackendAttributeName_t name) const;
  std::string read_text(cudnnBackendAttributeName_t name) const;
  cudnnBackendDescriptor_t get() const { return descriptor_; }

 private:
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

cudnnDataType_t cudnn_type(DType dtype);

// A tensor of a graph. Number 0 makes a virtual tensor: an intermediate result that is not stored.
Descriptor cudnn_tensor(int64_t number, cudnnDataType_t type, const std::vector<int64_t>& extents,
                        const std::vector<int64_t>& strides);

// A stored tensor of a graph.
struct CudnnOperand {
  int64_t number = 0;
  DType dtype = DType::kF32;
  int64_t bytes = 0;
};

// Operations that run as one.
struct CudnnGraph {
  std::vector<const Descriptor*> operations;
  std::vector<CudnnOperand> inputs;  // in the order of the op's; the bias comes last
  CudnnOperand result;
  bool adds_bias = false;
  bool has_relu = false;
  std::string signature;  // everything that the graph depends on
};

// An execution plan.
class CudnnPlan {
 public:
  CudnnPlan(Descriptor finalized, const CudnnGraph& graph);

  const Descriptor& descriptor() const { return plan_; }
  int64_t workspace_bytes() const { return workspace_; }
  // The arguments of a run.
  Descriptor pack(std::span<void* const> inputs, void* result, void* workspace) const;
  void run(Context& context, const Descriptor& pack) const;

 private:
  Descriptor plan_;
  std::vector<int64_t> numbers_;  // of the inputs and the result
  int64_t workspace_;
};

// The fastest of the plans that the heuristics suggest, the device supports and `context.options` allow, or the cached
// plan of an earlier run. Throws a CudnnRefusal if there is none.
//
// The relu of many engines returns 0 for NaN whatever the graph asks for, and would hide that a training diverged.
// Therefore a plan with a relu must propagate NaN in a test on this GPU. With `deterministic` there are no tests and no
// such plans. For a GPU that is only planned for, engines with generated code are assumed to propagate NaN.
std::unique_ptr<CudnnPlan> choose_plan(Context& context, const CudnnGraph& graph);

}  // namespace trainer::cuda
