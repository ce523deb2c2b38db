// cuDNN's graph interface: descriptors, and plans of operation graphs.
#pragma once

#include <cudnn.h>

#include <cstdint>
#include <memory>
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
  cudnnBackendDescriptor_t get() const { return descriptor_; }

 private:
  cudnnBackendDescriptor_t descriptor_ = nullptr;
};

cudnnDataType_t cudnn_type(DType dtype);

// A tensor of a graph. One without a number (0) is an intermediate result that is not stored.
Descriptor cudnn_tensor(int64_t number, cudnnDataType_t type, const std::vector<int64_t>& extents, const std::vector<int64_t>& strides);

// A way to compute a graph, ready to run.
class CudnnPlan {
 public:
  // The first of the heuristics' choices that the device takes and that computes as `context.options` say.
  // `floats`: whether the inputs are, which tensor cores round to TF32. Throws a CudnnRefusal.
  CudnnPlan(Context& context, const std::vector<const Descriptor*>& operations, bool floats);

  int64_t workspace_bytes() const { return workspace_; }
  const Descriptor& plan() const { return *plan_; }

 private:
  std::unique_ptr<Descriptor> plan_;
  int64_t workspace_ = 0;
};

}  // namespace trainer::cuda
