// The files of preludes/ as text: what generated kernels begin with. They are CUDA C that needs no headers,
// since a machine that has NVRTC need not have any. preludes.cmake writes what is declared here.
#pragma once

namespace trainer::cuda::preludes {

extern const char numbers[], functions[], map[], draws[], segments[];

}  // namespace trainer::cuda::preludes
