// The state that all kernels of a GPU share.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "device/cuda/device_properties.h"
#include "device/cuda/kernel_modules.h"
#include "runtime/device.h"

// The types behind cublasLtHandle_t and cudnnHandle_t.
struct cublasLtContext;
struct cudnnContext;

namespace trainer::cuda {

class Context {
 public:
  // A GPU of this machine. With `ordinal` -1, a GPU that is only planned for: kernels are chosen and never run.
  Context(DeviceProperties properties, int ordinal, const DeviceOptions& options);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  bool planned() const { return ordinal_ < 0; }
  int ordinal() const { return ordinal_; }
  cudaStream_t stream() const { return stream_; }
  // Each opens its library on the first call.
  cublasLtContext* cublaslt_handle();
  cudnnContext* cudnn_handle();
  // The number of the forward pass, in device memory, for kernels that draw random numbers.
  const uint64_t* pass() const { return pass_; }
  // Numbers in device memory that are 0 between kernels: their blocks count themselves there.
  static constexpr int64_t kCounters = 4096;
  unsigned* counters() const { return counters_; }
  void set_pass(uint64_t pass);
  // Copies in stream order. When either returns, the host memory may be reused.
  void copy_to_device(void* to, const void* from, int64_t bytes) const;
  void copy_to_host(void* to, const void* from, int64_t bytes) const;
  // Makes this GPU the current device of the calling thread.
  void make_current() const;
  // Wait for all queued work, or for an event of this GPU. They throw if this GPU or one of `partners` has failed.
  void wait() const;
  void wait(cudaEvent_t event) const;
  // The same; calls `meanwhile` again and again, which may throw.
  void wait(cudaEvent_t event, const std::function<void()>& meanwhile) const;
  // Throws if one of `partners` has failed.
  void check_partners() const;

  // The GPU, its driver and the options: what the result of autotuning depends on beside the computation.
  std::string autotune_key() const;

  const DeviceProperties properties;
  const DeviceOptions options;
  KernelModules modules;
  std::map<std::string, std::shared_ptr<void>> convolution_plans;  // of convolution.cc, by signature
  std::map<std::string, std::shared_ptr<void>> matmul_algorithms;  // of matmul.cc, by signature
  // The GPUs of an all-reduce with this GPU. If one of them fails, the all-reduce of the others never ends.
  std::vector<Context*> partners;

 private:
  template <typename Query>
  void poll_with_partners(Query query, const std::function<void()>& meanwhile = nullptr) const;
  void copy_pageable(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind, const char* doing) const;

  int ordinal_;
  cudaStream_t stream_ = nullptr;
  cublasLtContext* cublaslt_ = nullptr;
  cudnnContext* cudnn_ = nullptr;
  uint64_t* pass_ = nullptr;
  unsigned* counters_ = nullptr;
  uint64_t pass_on_device_ = ~uint64_t{0};
};

}  // namespace trainer::cuda
