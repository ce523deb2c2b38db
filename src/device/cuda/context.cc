// Streams and handles.
#include "device/cuda/context.h"

#include <chrono>
#include <cstring>
#include <thread>

#include "base/error.h"
#include "device/cuda/check.h"
#include "device/cuda/kernels/launch.h"
#include "device/cuda/libraries.h"

namespace trainer::cuda {

Context::Context(DeviceProperties of, int ordinal, const DeviceOptions& how)
    : properties(std::move(of)), options(how), texts(properties.architecture()), ordinal_(ordinal) {
  if (planned()) return;
  enter();
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
  check(cudaMalloc(reinterpret_cast<void**>(&pass_), sizeof *pass_), "allocating");
}

Context::~Context() {
  if (!planned()) ignore_result(cudaSetDevice(ordinal_));
  if (cublaslt_ != nullptr) cublaslt().destroy(cublaslt_);
  if (cudnn_ != nullptr) cudnn().destroy(cudnn_);
  if (planned()) return;
  ignore_result(cudaFree(pass_));
  ignore_result(cudaStreamDestroy(stream_));
}

std::string Context::conditions() const {
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
void Context::watch_partners_until(Query is_done) const {
  constexpr int kLooksWithoutSleep = 100;  // about as many microseconds: an iteration of a small net
  constexpr std::chrono::microseconds kBetweenLooks(20);
  cudaError_t state = cudaSuccess;
  for (int looks = 0; (state = is_done()) == cudaErrorNotReady; ++looks) {
    ignore_result(state);
    if (looks < kLooksWithoutSleep) continue;
    check_partners();
    std::this_thread::sleep_for(kBetweenLooks);
  }
  check_on(ordinal_, state, "running");
}

void Context::wait() const {
  if (partners.empty()) return check_on(ordinal_, cudaStreamSynchronize(stream_), "running");
  watch_partners_until([this] { return cudaStreamQuery(stream_); });
}

void Context::wait(cudaEvent_t event) const {
  if (partners.empty()) return check_on(ordinal_, cudaEventSynchronize(event), "running");
  watch_partners_until([event] { return cudaEventQuery(event); });
}

void Context::enter() const { check_on(ordinal_, cudaSetDevice(ordinal_), "taking it"); }

cublasLtHandle_t Context::cublaslt_handle() {
  if (cublaslt_ == nullptr) {
    const cublasStatus_t status = cublaslt().create(&cublaslt_);
    if (status != CUBLAS_STATUS_SUCCESS) throw device_error("cuBLASLt cannot start: {}", cublaslt().error_text(status));
  }
  return cublaslt_;
}

cudnnHandle_t Context::cudnn_handle() {
  if (cudnn_ == nullptr) {
    cudnnStatus_t status = cudnn().create(&cudnn_);
    if (status == CUDNN_STATUS_SUCCESS) status = cudnn().set_stream(cudnn_, stream_);
    if (status != CUDNN_STATUS_SUCCESS) throw device_error("cuDNN cannot start: {}", cudnn().error_text(status));
  }
  return cudnn_;
}

// A GPU that shares the host's page tables may read pageable memory after cudaMemcpyAsync has returned. What the
// training loop sends is small: nothing waits for it.
void Context::send(void* to, const void* from, int64_t bytes) const {
  enter();
  if (bytes <= kMostSentBytes) {
    SendArguments sent;
    sent.to = to;
    sent.count = bytes;
    std::memcpy(sent.bytes, from, static_cast<size_t>(bytes));
    return check(launch_send(sent, stream_), "copying to it");
  }
  copy_pageable(to, from, bytes, cudaMemcpyHostToDevice, "copying to it");
}

void Context::fetch(void* to, const void* from, int64_t bytes) const {
  enter();
  copy_pageable(to, from, bytes, cudaMemcpyDeviceToHost, "copying from it");
}

// Such a copy may itself wait for the kernels, and knows of no partners.
void Context::copy_pageable(void* to, const void* from, int64_t bytes, cudaMemcpyKind kind, const char* doing) const {
  wait();
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, stream_), "{}", doing);
  wait();
}

void Context::set_pass(uint64_t pass) {
  if (pass == known_pass_) return;
  send(pass_, &pass, sizeof pass);
  known_pass_ = pass;
}

}  // namespace trainer::cuda
