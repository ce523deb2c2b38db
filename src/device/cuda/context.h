// What the kernels of a device share.
#pragma once

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <cudnn.h>

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/cuda/device_properties.h"
#include "device/cuda/texts.h"
#include "runtime/device.h"

namespace trainer::cuda {

class Context {
 public:
  // A device of the machine, or where `ordinal` is -1 one that is only planned for: kernels are chosen and
  // never run.
  Context(DeviceProperties properties, int ordinal, const DeviceOptions& options);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  bool planned() const { return ordinal_ < 0; }
  int ordinal() const { return ordinal_; }
  cudaStream_t stream() const { return stream_; }
  // Opened when first asked for.
  cublasLtHandle_t cublaslt_handle();
  cudnnHandle_t cudnn_handle();
  // The number of the forward pass in device memory, where kernels that draw read it.
  const uint64_t* pass() const { return pass_; }
  void set_pass(uint64_t pass);
  // Copies from the host's memory in the stream; has read it when it returns.
  void send(void* to, const void* from, int64_t bytes) const;
  // Copies to the host's memory behind the stream; is done when it returns.
  void fetch(void* to, const void* from, int64_t bytes) const;
  // Makes this the GPU of the calling thread.
  void enter() const;
  // Wait for all that is queued, or for an event of this GPU. They throw where this GPU or one of `partners` has
  // failed.
  void wait() const;
  void wait(cudaEvent_t event) const;
  // Throws where one of `partners` has failed.
  void check_partners() const;

  // All that the fastest way to compute something depends on beside that: the GPU, its driver, the options.
  std::string conditions() const;

  const DeviceProperties properties;
  const DeviceOptions options;
  Texts texts;
  std::map<std::string, std::shared_ptr<void>> convolutions;  // what convolution.cc knows of each it has met
  std::map<std::string, std::shared_ptr<void>> products;      // matmul.cc likewise
  // The GPUs that sum with this one: where one fails, this one's sums wait for it for ever.
  std::vector<Context*> partners;

 private:
  template <typename Query>
  void watch_partners_until(Query is_done) const;
  void copy_pageable(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind, const char* doing) const;

  int ordinal_;
  cudaStream_t stream_ = nullptr;
  cublasLtHandle_t cublaslt_ = nullptr;
  cudnnHandle_t cudnn_ = nullptr;
  uint64_t* pass_ = nullptr;
  uint64_t known_pass_ = ~uint64_t{0};
};

// What most kernels share: bind stores the addresses that run reads.
class BoundKernel : public Kernel {
 public:
  BoundKernel(Context& context, const OpInstance& instance)
      : context_(context), inputs_(instance.inputs.size()), outputs_(instance.outputs.size()) {}

  void bind(std::span<void* const> inputs, std::span<void* const> outputs, void* workspace) override {
    inputs_.assign(inputs.begin(), inputs.end());
    outputs_.assign(outputs.begin(), outputs.end());
    workspace_ = static_cast<std::byte*>(workspace);
  }

 protected:
  Context& context() const { return context_; }
  void* input(size_t i) const { return inputs_[i]; }
  // nullptr where the op has no i-th input.
  void* optional_input(size_t i) const { return i < inputs_.size() ? inputs_[i] : nullptr; }
  void* output(size_t i) const { return outputs_[i]; }
  std::byte* workspace() const { return workspace_; }

 private:
  Context& context_;
  std::vector<void*> inputs_, outputs_;
  std::byte* workspace_ = nullptr;
};

constexpr int64_t kAlignment = 256;
constexpr int64_t aligned(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

}  // namespace trainer::cuda
