// The interface of the emulated runtime to the emulated libraries, and the environment variables of both:
//
//   EMULATED_GPUS=1            the number of GPUs; CUDA_VISIBLE_DEVICES selects some of them
//   EMULATED_GPU_MEMORY=BYTES  the memory of each; default 4 GiB
//   EMULATED_GPU_CAPABILITY=90 the compute capability of each; default 9.0
//   EMULATED_GPU_ORDER=eager   work runs as soon as it is queued, not when it is waited for (streams.h)
//   EMULATED_GPU_PAGEABLE=unstaged  copies to a GPU read pageable memory when they run, as with shared page tables
//   EMULATED_GPU_LOG=FILE      appends a line for each important call; the line of a wait for an event contains how
//   much
//                              work of the stream may still be pending then (in eager order: none)
//   EMULATED_GPU_FAULT=GPU:COUNT:NAME  the GPU fails at its COUNT-th work of this name, as by an illegal address
//   EMULATED_GPU_SLOW=NAME     work of this name takes some milliseconds longer
//   EMULATED_CUDNN=absent-engines         cuDNN has no engine for any graph
//   EMULATED_CUDNN=absent-fusions         cuDNN has no engine for a convolution followed by other operations
//   EMULATED_CUDNN=mixed-versions         cuDNN does not work because its parts have different versions
//   EMULATED_CUDNN=drops-nan              the relu of every engine returns 0 for NaN
//   EMULATED_CUBLASLT=absent-algorithms   cuBLASLt has no algorithm for any product
//
// Mistakes that a GPU would not report end the process with a message:
//   host addresses as arguments of kernels, and access to memory of another owner
//   the capture of a kernel that was never launched
//   a thread that waits for all devices while another launches a collective on them
//   a wait for work that itself waits for a failed GPU
//   a cuDNN attribute with a wrong type
//   new work while cudaGetLastError would return the error of an earlier call
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <utility>
#include <vector>

// Queues work of a library on a stream of the current device.
__attribute__((visibility("default"))) cudaError_t emulated_enqueue(cudaStream_t stream, const char* name,
                                                                    std::function<void()> work);
// Queues collective work on one stream of each of several devices. It runs when all streams have reached it, with
// access to the memories of all devices; no stream continues before. `ready`: whether work that waits for another
// process can run; empty for other work.
__attribute__((visibility("default"))) cudaError_t emulated_enqueue_together(
    const std::vector<std::pair<int, cudaStream_t>>& streams, const char* name, std::function<void()> work,
    std::function<bool()> ready = nullptr);
// A thread calls this before and after it launches collective work. If another thread waits for all devices in between,
// the process ends.
__attribute__((visibility("default"))) void emulated_starts_together(bool starts);
// Releases work that waits for failed GPUs.
__attribute__((visibility("default"))) void emulated_give_up_failed();
// The kernels, copies, fills and library calls queued so far by all threads.
extern "C" __attribute__((visibility("default"))) long long emulated_queued();
// Whether these bytes are in one allocation of the current device.
__attribute__((visibility("default"))) bool emulated_on_device(const void* memory, size_t bytes);
