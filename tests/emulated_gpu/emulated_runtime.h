// What the emulated libraries ask of the emulated runtime, and the environment of both:
//
//   EMULATED_GPUS=1            GPUs that are present; CUDA_VISIBLE_DEVICES picks among them
//   EMULATED_GPU_MEMORY=BYTES  of each, 4 GiB
//   EMULATED_GPU_CAPABILITY=90 of each, 9.0
//   EMULATED_GPU_ORDER=eager   work runs as soon as it is queued, not when it is waited for (streams.h)
//   EMULATED_GPU_PAGEABLE=unstaged  copies to a GPU read pageable memory when they run, as where both share page tables
//   EMULATED_GPU_LOG=FILE      a line for each call that matters is appended to it; that of a wait for an event says
//   how
//                              much of what the stream was given need not be done by then (but in order eager: none)
//   EMULATED_GPU_FAULT=GPU:COUNT:NAME  the GPU fails at its COUNT-th work of this name, as by an illegal address
//   EMULATED_GPU_SLOW=NAME     work of this name takes milliseconds longer
//   EMULATED_CUDNN=absent-engines         cuDNN knows no way to compute anything
//   EMULATED_CUDNN=absent-fusions         it knows none for a convolution with anything behind it
//   EMULATED_CUDNN=mixed-versions         it cannot work, as its parts are of different versions
//   EMULATED_CUDNN=drops-nan              a relu in any of its engines returns 0 for a NaN
//   EMULATED_CUBLASLT=absent-algorithms   nor cuBLASLt
//
// Mistakes that a GPU would not report end the process with a message:
//   addresses of the host given to kernels, and memory touched that is not the toucher's
//   a kernel captured before it was ever launched
//   a thread that waits for all devices while another starts a collective on them
//   one that waits for work which itself waits for a GPU that failed
//   an attribute of cuDNN set with another type than its own
//   work started while cudaGetLastError would return the error of an earlier call
#pragma once

#include <cuda_runtime_api.h>

#include <functional>
#include <utility>
#include <vector>

// Queues work of a library on a stream, for the current device.
__attribute__((visibility("default"))) cudaError_t emulated_enqueue(cudaStream_t stream, const char* name,
                                                                    std::function<void()> work);
// Queues work that several devices do together, one stream of each: it runs when all of the streams have come to it, in
// the memories of all, and none of them goes on before.
__attribute__((visibility("default"))) cudaError_t emulated_enqueue_together(
    const std::vector<std::pair<int, cudaStream_t>>& streams, const char* name, std::function<void()> work);
// By a thread before it starts work that several devices do together, and when it has. What waits for all devices,
// called by another thread meanwhile, ends the process.
__attribute__((visibility("default"))) void emulated_starts_together(bool starts);
// Lets go of work that waits for GPUs that failed.
__attribute__((visibility("default"))) void emulated_give_up_failed();
// Kernels, copies, fills and calls of libraries queued so far, by any thread.
extern "C" __attribute__((visibility("default"))) long long emulated_queued();
// Whether these bytes lie in one allocation of the current device.
__attribute__((visibility("default"))) bool emulated_on_device(const void* memory, size_t bytes);
