// A thread converts elements.
#include "device/cuda/kernels/round.h"

#include "device/cuda/kernels/elements.h"
#include "device/cuda/kernels/launch.h"

namespace trainer::cuda {
namespace {

template <typename From, typename To>
__global__ void __launch_bounds__(kBlockThreads) convert_elements(const __grid_constant__ RoundArguments a) {
  for (int64_t i = first_element(); i < a.count; i += grid_stride())
    put(static_cast<To*>(a.to) + i, to_float(static_cast<const From*>(a.from)[i]));
}

}  // namespace

cudaError_t launch_round(const RoundArguments& a, cudaStream_t stream) {
  return launch_kernel(convert_elements<float, Bf16>, grid_of_elements(a.count), a, stream);
}
cudaError_t launch_widen(const RoundArguments& a, cudaStream_t stream) {
  return launch_kernel(convert_elements<Bf16, float>, grid_of_elements(a.count), a, stream);
}

}  // namespace trainer::cuda
