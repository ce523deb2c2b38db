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

  // Each throws a CudnnRefusal; the setters return *this. The type of a value is the attribute's: cuDNN reads other
  // types as if they were its own (the scales of convolutions are floats, the parameters of pointwise operations
  // doubles).
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

// A tensor of a graph. One without a number (0) is an intermediate result that is not stored.
Descriptor cudnn_tensor(int64_t number, cudnnDataType_t type, const std::vector<int64_t>& extents,
                        const std::vector<int64_t>& strides);

// A tensor of a graph that is stored.
struct CudnnOperand {
  int64_t number = 0;
  DType dtype = DType::kF32;
  int64_t bytes = 0;
};

// Operations to be computed as one.
struct CudnnGraph {
  std::vector<const Descriptor*> operations;
  std::vector<CudnnOperand> inputs;  // in the sequence of the op's; a bias comes last
  CudnnOperand result;
  bool adds_bias = false;
  bool has_relu = false;
  std::string signature;  // all that the graph depends on
};

// A way to compute a graph, ready to run.
class CudnnPlan {
 public:
  CudnnPlan(Descriptor finished, const CudnnGraph& graph);

  const Descriptor& descriptor() const { return plan_; }
  int64_t workspace_bytes() const { return workspace_; }
  // The arguments of a run: an address for each input, and that of the result.
  Descriptor pack(std::span<void* const> inputs, void* result, void* workspace) const;
  void run(Context& context, const Descriptor& pack) const;

 private:
  Descriptor plan_;
  std::vector<int64_t> numbers_;  // of the inputs and the result
  int64_t workspace_;
};

// The fastest of the plans that the heuristics suggest, the device takes and `context.options` allow, or the one that
// an earlier run found. Throws a CudnnRefusal where there is none.
//
// The relu of many engines returns 0 for a NaN, whatever the graph asks for, and would hide that a training diverged. A
// plan with a relu must have passed a NaN in a trial on this GPU. Where nothing is tried (`deterministic`) there is
// none. A GPU that is only planned for is assumed to pass NaNs in engines whose code cuDNN generates.
std::unique_ptr<CudnnPlan> choose_plan(Context& context, const CudnnGraph& graph);

}  // namespace trainer::cuda
