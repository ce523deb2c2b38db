// Streams and handles.
#include "device/cuda/context.h"

#include <cstring>

#include "base/error.h"
#include "device/cuda/check.h"
#include "device/cuda/kernels/launch.h"
#include "device/cuda/libraries.h"

namespace trainer::cuda {

Context::Context(DeviceProperties of, int ordinal, const DeviceOptions& how)
    : properties(std::move(of)), options(how), texts(properties.architecture()), ordinal_(ordinal) {
  if (planned()) return;
  enter();
  check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream on GPU {}", ordinal);
  check(cudaMalloc(reinterpret_cast<void**>(&pass_), sizeof *pass_), "allocating on GPU {}", ordinal);
}

Context::~Context() {
  if (!planned()) cudaSetDevice(ordinal_);
  if (cublaslt_ != nullptr) cublaslt().destroy(cublaslt_);
  if (cudnn_ != nullptr) cudnn().destroy(cudnn_);
  if (planned()) return;
  cudaFree(pass_);
  cudaStreamDestroy(stream_);
}

std::string Context::conditions() const {
  int driver = 0;
  cudaDriverGetVersion(&driver);
  return fmt::format("{} ({}, {} multiprocessors, {}), driver {}, {}{}", properties.name, properties.architecture(), properties.multiprocessors,
                     planned() ? "planned" : "at hand", driver, name_of(options.precision), options.deterministic ? ", deterministic" : "");
}

void Context::enter() const { check(cudaSetDevice(ordinal_), "taking GPU {}", ordinal_); }

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

// A GPU that shares the host's page tables may read pageable memory after cudaMemcpyAsync has returned. What the training
// loop sends is small: nothing waits for it.
void Context::send(void* to, const void* from, int64_t bytes) const {
  enter();
  if (bytes <= kMostSentBytes) {
    SendArguments sent;
    sent.to = to;
    sent.count = bytes;
    std::memcpy(sent.bytes, from, static_cast<size_t>(bytes));
    return check(launch_send(sent, stream_), "copying to the GPU");
  }
  check(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), cudaMemcpyHostToDevice, stream_), "copying to the GPU");
  check(cudaStreamSynchronize(stream_), "running on the GPU");
}

void Context::set_pass(uint64_t pass) {
  if (pass == known_pass_) return;
  send(pass_, &pass, sizeof pass);
  known_pass_ = pass;
}

}  // namespace trainer::cuda
