// Stands in for NVIDIA's header of the same name, so that tests compile the kernels and their arguments without the
// CUDA toolkit. Kernels run on the host when they are launched; no call fails.
#pragma once

using cudaStream_t = struct CUstream_st*;
using cudaEvent_t = struct CUevent_st*;
using cudaLibrary_t = struct CUlib_st*;
using cudaKernel_t = struct CUkern_st*;
enum cudaMemcpyKind {};
enum cudaError_t { cudaSuccess, cudaErrorInvalidValue };

inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
inline const char* cudaGetErrorName(cudaError_t) { return "cudaErrorInvalidValue"; }
inline const char* cudaGetErrorString(cudaError_t) { return "invalid argument"; }
