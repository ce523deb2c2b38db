// The files of preludes/ as text, with which generated kernels begin. They are CUDA C without includes, because a
// machine with NVRTC may have no headers. preludes.cmake generates the definitions.
#pragma once

namespace trainer::cuda::preludes {

extern const char numbers[], functions[], map[], draws[], segments[];

}  // namespace trainer::cuda::preludes
