// The stream, the library handles and synchronous copies of a GPU.
#include "device/cuda/context.h"

#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "device/cuda/check.h"
#include "device/cuda/kernels/copy.h"
#include "device/cuda/libraries.h"

namespace trainer::cuda {

Context::Context(DeviceProperties of, int ordinal, const DeviceOptions& how)
    : properties(std::move(of)), options(how), modules(properties.architecture()), ordinal_(ordinal) {
  if (planned()) return;
  make_current();
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream");
  check(cudaMalloc(reinterpret_cast<void**>(&pass_), sizeof *pass_), "allocating");
  check(cudaMalloc(reinterpret_cast<void**>(&counters_), kCounters * sizeof *counters_), "allocating");
  check(cudaMemsetAsync(counters_, 0, kCounters * sizeof *counters_, stream_), "clearing memory");
}

Context::~Context() {
  if (!planned()) ignore_result(cudaSetDevice(ordinal_));
  if (cublaslt_ != nullptr) cublaslt().destroy(cublaslt_);
  if (cudnn_ != nullptr) cudnn().destroy(cudnn_);
  if (planned()) return;
  ignore_result(cudaFree(pass_));
  ignore_result(cudaFree(counters_));
  ignore_result(cudaStreamDestroy(stream_));
}

std::string Context::autotune_key() const {
  int driver = 0;
  ignore_result(cudaDriverGetVersion(&driver));
  return fmt::format("{} ({}, {} multiprocessors, {}), driver {}, {}{}", properties.name, properties.architecture(),
                     properties.multiprocessors, planned() ? "planned" : "at hand", driver, name_of(options.precision),
                     options.deterministic ? ", deterministic" : "");
}

void Context::check_partners() const {
  for (const Context* partner : partners) {
    const cudaError_t state = cudaStreamQuery(partner->stream_);
    if (!succeeds(state) && state != cudaErrorNotReady) check_on(partner->ordinal_, state, "running");
  }
}

template <typename Query>
void Context::poll_with_partners(Query query, const std::function<void()>& meanwhile) const {
  constexpr int kPollsWithoutSleep = 100;  // about 100 microseconds: an iteration of a small net
  constexpr std::chrono::microseconds kBetweenPolls(20);
  cudaError_t state = cudaSuccess;
  for (int polls = 0; (state = query()) == cudaErrorNotReady; ++polls) {
    ignore_result(state);
    if (polls < kPollsWithoutSleep) continue;
    check_partners();
    if (meanwhile) meanwhile();
    std::this_thread::sleep_for(kBetweenPolls);
  }
  check_on(ordinal_, state, "running");
}

void Context::wait() const {
  if (partners.empty()) return check_on(ordinal_, cudaStreamSynchronize(stream_), "running");
  poll_with_partners([this] { return cudaStreamQuery(stream_); });
}

void Context::wait(cudaEvent_t event) const {
  if (partners.empty()) return check_on(ordinal_, cudaEventSynchronize(event), "running");
  poll_with_partners([event] { return cudaEventQuery(event); });
}

void Context::wait(cudaEvent_t event, const std::function<void()>& meanwhile) const {
  poll_with_partners([event] { return cudaEventQuery(event); }, meanwhile);
}

void Context::make_current() const { check_on(ordinal_, cudaSetDevice(ordinal_), "selecting the GPU"); }

cublasLtContext* Context::cublaslt_handle() {
  if (cublaslt_ == nullptr) {
    const cublasStatus_t status = cublaslt().create(&cublaslt_);
    if (status != CUBLAS_STATUS_SUCCESS) throw device_error("cuBLASLt cannot start: {}", cublaslt().error_text(status));
  }
  return cublaslt_;
}

cudnnContext* Context::cudnn_handle() {
  if (cudnn_ == nullptr) {
    cudnnStatus_t status = cudnn().create(&cudnn_);
    if (status == CUDNN_STATUS_SUCCESS) status = cudnn().set_stream(cudnn_, stream_);
    if (status != CUDNN_STATUS_SUCCESS) throw device_error("cuDNN cannot start: {}", cudnn().error_text(status));
  }
  return cudnn_;
}

// A GPU that shares the host's page tables may read pageable memory after cudaMemcpyAsync has returned, so
// copy_pageable() waits. The copies of the training loop are small and need no wait: the bytes are part of the launch.
void Context::copy_to_device(void* to, const void* from, int64_t bytes) const {
  make_current();
  if (bytes <= kMaxInlineBytes) {
    InlineCopyArguments arguments;
    arguments.to = to;
    arguments.count = bytes;
    std::memcpy(arguments.bytes, from, static_cast<size_t>(bytes));
    return check(launch_inline_copy(arguments, stream_), "copying to the GPU");
  }
  copy_pageable(to, from, bytes, cudaMemcpyHostToDevice, "copying to the GPU");
}

void Context::copy_to_host(void* to, const void* from, int64_t bytes) const {
  make_current();
  copy_pageable(to, from, bytes, cudaMemcpyDeviceToHost, "copying from the GPU");
}

// cudaMemcpyAsync may wait for kernels without a look at the partners. Therefore wait() comes first.
void Context::copy_pageable(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind, const char* doing) const {
  wait();
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, stream_), "{}", doing);
  wait();
}

void Context::set_pass(uint64_t pass) {
  if (pass == pass_on_device_) return;
  copy_to_device(pass_, &pass, sizeof pass);
  pass_on_device_ = pass;
}

}  // namespace trainer::cuda
